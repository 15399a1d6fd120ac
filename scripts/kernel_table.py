#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Writes docs/kernels.md: kernel x mechanism x every live test, from the results that a run
of the tests left in build/live/ (scripts/test.sh -L live)."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "live"
HEAD = """# What ran where

Written by `scripts/kernel_table.py` from a run of the live tests (`scripts/test.sh -L live`).
Each column is one run: a kernel, and the mechanism that `--attach` asked for. What depends on neither
runs on the machine that builds, whose kernel gives tracepoints only, and where it has no hook to tell of
something, that is skipped; of the rest, what a kernel may change runs on the oldest or the newest. A hook
that could not have the mechanism took the next one; `tcpsaga check` on that kernel tells which.
"""


def load(path):
    """One run: (kernel, mechanism, {test: result}, {test: reason for a skip}). What passed when it
    was tried once more (tests/live/main.cc) says so."""
    second = path.parent / "again" / path.name
    again = load(second)[2] if second.exists() else {}
    series, attach = path.stem.rsplit("_", 1)
    kernel, results, reasons = series, {}, {}
    for suite in json.loads(path.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            name = f"{suite['name']}.{test['name']}"
            kernel = test.get("kernel", kernel)
            if "failures" in test:
                results[name] = "ok, 2nd try" if again.get(name) == "ok" else "**FAILED**"
            elif test["result"] == "SKIPPED":
                results[name] = "skipped"
                reasons[name] = test.get("skipped_because", "?").strip().removeprefix("SKIPPED: ")
            else:
                results[name] = "ok"
    return kernel, attach, results, reasons


def order(run):
    digits = run[0].split("-")[0].split("+")[0].split(".")
    return [int(d) for d in digits if d.isdigit()], run[1]


def main():
    runs = sorted((load(p) for p in RESULTS.glob("*.json")), key=order)
    if not runs:
        sys.exit(f"kernel_table: no results in {RESULTS}; run scripts/test.sh -L live first")
    names = sorted({name for run in runs for name in run[2]})
    lines = [HEAD, "| test | " + " | ".join(f"{k}<br>{a}" for k, a, _, _ in runs) + " |",
             "|---|" + "---|" * len(runs)]
    for name in names:
        cells = [run[2].get(name, "-") for run in runs]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    reasons = sorted({(name, run[3][name]) for run in runs for name in run[3]})
    if reasons:
        lines += ["", "Skipped, and why:", ""]
        lines += [f"- {name}: {reason}" for name, reason in reasons]
    (ROOT / "docs" / "kernels.md").write_text("\n".join(lines) + "\n")
    bad = sum("FAILED" in cell for run in runs for cell in run[2].values())
    print(f"docs/kernels.md: {len(runs)} runs, {len(names)} tests, {bad} failed")


if __name__ == "__main__":
    main()
