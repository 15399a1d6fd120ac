#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Prints what every BPF program costs each kernel's verifier, in instructions walked: a
number that jumps is a program that grew, or a loop that a kernel no longer prunes.

usage: verifier_table.py [SERIES...]   (default: the oldest and the newest)"""

import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MECHANISMS = ("trampoline", "kprobe", "tracepoint")


def costs(series, mechanism):
    """(kernel, {program: instructions}) of one mechanism on one series."""
    command = [ROOT / "scripts" / "vm.py", series, "--", ROOT / "build" / "tcpsaga", "check",
               "--programs", "--json", "--drops", "--attach", mechanism]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if ran.returncode not in (0, 3):  # 3: something is lost with this mechanism
        sys.exit(f"verifier_table: {series} {mechanism}: exit code {ran.returncode}")
    report = json.loads(ran.stdout)
    return report["kernel"], {p["program"]: p["verified"] for p in report["programs"]}


def main():
    table, kernels = {}, []
    for series in sys.argv[1:] or ["5.10", "7"]:
        for mechanism in MECHANISMS:
            kernel, programs = costs(series, mechanism)
            if kernel not in kernels:
                kernels.append(kernel)
            for name, count in programs.items():
                table.setdefault(name, {})[kernel] = count
    width = max(map(len, table))
    print(" " * width, *(f"{k:>30}" for k in kernels))
    for name in sorted(table):
        print(f"{name:<{width}}", *(f"{table[name].get(k, '-'):>30}" for k in kernels))


if __name__ == "__main__":
    main()
