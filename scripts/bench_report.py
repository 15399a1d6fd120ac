#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""The micro-benchmarks of bench.py, and its Markdown."""

import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

from bench_tracer import BUILD, Failed

RECORDS = 100_000
STAGES = ("decode", "correlate", "json", "trace", "life")


def machine():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"kernel": platform.release(), "cpu": cpu[1] if cpu else platform.machine(),
            "processors": os.cpu_count(), "load_before": os.getloadavg()[0]}


def micro():
    """{benchmark: its figures} of tests/bench/micro.cc; medians of three."""
    ran = subprocess.run([BUILD / "tests" / "bench" / "micro_bench", "--benchmark_format=json",
                          "--benchmark_repetitions=3", "--benchmark_report_aggregates_only=true"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return {b["run_name"]: {key: b[key] for key in ("items_per_second", "lines",
                                                    "bytes_per_socket") if key in b}
            for b in json.loads(ran.stdout)["benchmarks"] if b["aggregate_name"] == "median"}


def instructions(live=1000):
    """{stage: instructions per record and per event}, counted by callgrind: the same on every run
    of one build, whatever else the machine does."""
    results = {}
    for stage in STAGES:
        ran = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=measured",
             "--callgrind-out-file=/dev/null", BUILD / "tests" / "bench" / "replay_once", stage,
             str(live), str(RECORDS)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        found = re.search(r"Collected : (\d+)", ran.stderr)
        if ran.returncode != 0 or not found:
            raise Failed(f"replay_once {stage}: exit code {ran.returncode}\n{ran.stderr}")
        count, events = int(found[1]), int(ran.stdout)
        results[stage] = {"per_record": count / RECORDS}
        if events:
            results[stage]["per_event"] = count / events
    return results


def spread(values, digits=1):
    """Median (least to most)."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def storm_table(result):
    storm, cost = result["storm"], result.get("cost", {})
    untraced = storm["untraced"]
    rows = [f"Untraced: {spread(untraced, 0)} connections per second.", "",
            "| tracer | share of the untraced rate, % | BPF, ns per state change | BPF, ns per "
            "connection | consumer, us per connection | consumer, % of a processor | lost "
            "events | RSS, MB |",
            "|---|--:|--:|--:|--:|--:|--:|--:|"]
    for name, row in storm["tracers"].items():
        if "error" in row:
            rows.append(f"| {name} | {row['error']} | | | | | | |")
            continue
        bpf = cost.get(name)
        ns = [f"{bpf['ns_per_state_change']:.0f}", f"{bpf['ns_per_connection']:.0f}"] if bpf else ["", ""]
        rows.append(f"| {name} | {spread(row['share'])} | {ns[0]} | {ns[1]} | "
                    f"{spread(row['cpu_us'])} | {spread(row['cpu'], 0)} | {sum(row['lost'])} | "
                    f"{max(row['rss']):.0f} |")
    return rows


def program_table(cost):
    rows = ["| tracer | program | runs per connection | ns per run |", "|---|---|--:|--:|"]
    for name, tracer in cost.items():
        for program, row in sorted(tracer["programs"].items()):
            rows.append(f"| {name} | {program} | {row['runs_per_connection']:.1f} | "
                        f"{row['ns_per_run']:.0f} |")
    return rows


def micro_table(rows):
    lines = ["| benchmark | million records or events per second | million lines per second | bytes "
             "per live socket |", "|---|--:|--:|--:|"]
    for name, row in rows.items():
        text = [f"{row[key] / scale:.{digits}f}" if key in row else ""
                for key, scale, digits in (("items_per_second", 1e6, 2), ("lines", 1e6, 2),
                                           ("bytes_per_socket", 1, 0))]
        lines.append(f"| {name} | {' | '.join(text)} |")
    return lines


def instruction_table(rows):
    lines = ["| stage | instructions per record | per event |", "|---|--:|--:|"]
    for name, row in rows.items():
        per_event = f"{row['per_event']:.0f}" if "per_event" in row else ""
        lines.append(f"| {name} | {row['per_record']:.0f} | {per_event} |")
    return lines


def goals(result):
    """(goal, bound, figure, met) of what was measured."""
    def row(text, bound, at_least, find, digits=1):
        try:
            value = find()
        except (KeyError, ValueError):
            return
        met = value >= bound if at_least else value <= bound
        found.append(f"| {text} | {'>=' if at_least else '<='} {bound:g} | {value:.{digits}f} | "
                     f"{'yes' if met else '**no**'} |")

    found = ["| goal | bound | figure | met |", "|---|--:|--:|---|"]
    life, trace = "tcpsaga life", "tcpsaga trace --json"
    share = lambda name: statistics.median(result["storm"]["tracers"][name]["share"])
    row("`life` keeps of the untraced rate, %", 98, True, lambda: share(life))
    row("`trace --json` to a file keeps, %", 95, True, lambda: share(trace))
    for name in (life, trace):
        row(f"BPF, ns per state change, `{name}`", 120, False,
            lambda name=name: result["cost"][name]["ns_per_state_change"], 0)
    for live in (1000, 100_000, 1_000_000):
        row(f"correlate, million records per second, {live:,} live", 12, True,
            lambda live=live: result["micro"][f"correlate/{live}"]["items_per_second"] / 1e6)
    for live in (1000, 100_000, 1_000_000):
        row(f"record to JSON, million lines per second, {live:,} live", 4, True,
            lambda live=live: result["micro"][f"replay/json/{live}"]["lines"] / 1e6)
    for name in (life, trace):
        row(f"lost in a long storm at the top rate, `{name}`", 0, False,
            lambda name=name: result["long"][name]["lost"], 0)
        row(f"RSS at 100,000 live sockets, MB, `{name}`", 40, False,
            lambda name=name: result["scale"][name]["rss_mb"])
        row(f"start, ms, `{name}`", 150, False,
            lambda name=name: statistics.median(result["start"][name]), 0)
        row(f"start with 100,000 live sockets, ms, `{name}`", 150, False,
            lambda name=name: result["scale"][name]["start_ms"], 0)
        row(f"idle, % of a processor, `{name}`", 0.1, False, lambda name=name: result["idle"][name], 3)
    return found


def markdown(result):
    m = result["machine"]
    lines = [f"Linux {m['kernel']}, {m['processors']} x {m['cpu']}; load before the run "
             f"{m['load_before']:.2f}.", ""]
    if "storm" in result:
        lines += storm_table(result) + [""]
    if result.get("cost"):
        lines += program_table(result["cost"]) + [""]
    if "micro" in result:
        lines += micro_table(result["micro"]) + [""]
    if "instructions" in result:
        lines += instruction_table(result["instructions"]) + [""]
    return "\n".join(lines + goals(result))


def put_into(path, text):
    """Replaces what is between the two marks of a document."""
    begin, end = "<!-- bench -->\n", "<!-- end of bench -->"
    before, found, rest = path.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise Failed(f"{path} has no line '{begin.strip()}' with a line '{end}' behind it")
    path.write_text(f"{before}{begin}{text}\n{end}{after}")


if __name__ == "__main__":
    sys.exit(__doc__)
