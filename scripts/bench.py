#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Measures what tracing costs, and what the peers cost, in one run. bench.sh builds and starts it.

Each traced storm stands between two untraced ones, and its share is of their mean, so that a
machine that gets slower or faster meanwhile does not matter. Rounds take the tracers in turn."""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

import bench_report
from bench_tracer import (BUILD, TRACERS, Failed, Held, Running, bpf_statistics, programs,
                          run_storm)

PARTS = ("start", "idle", "storm", "cost", "scale", "long", "micro", "instructions")
STATE_CHANGES = 10  # of both ends of one connection of the storm


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def storm_rounds(tracers, rounds, seconds, folder):
    """{tracer: {share: [...], rate: [...], cpu: [...], ...}}, and the untraced rates."""
    run_storm(seconds)  # warms up
    results = {t.name: {} for t in tracers}
    untraced = [run_storm(seconds)["rate"]]
    for number in range(rounds):
        turn = number % max(1, len(tracers))
        for tracer in tracers[turn:] + tracers[:turn]:
            if "error" in results[tracer.name]:
                continue
            try:
                with Running(tracer, folder) as running:
                    before = running.cpu_seconds()
                    storm = run_storm(seconds)
                    cpu = running.cpu_seconds() - before
                    rss = running.rss_mb()
                    lost = running.stop()
            except Failed as failure:
                results[tracer.name]["error"] = str(failure)
                say(f"{tracer.name}: {failure}")
                continue
            untraced.append(run_storm(seconds)["rate"])
            row = {"share": 100 * storm["rate"] / statistics.mean(untraced[-2:]),
                   "rate": storm["rate"], "cpu": 100 * cpu / storm["seconds"], "rss": rss,
                   "cpu_us": 1e6 * cpu / storm["connections"], "lost": lost,
                   "output_mb": running.written_mb,
                   "connections": storm["connections"]}
            for key, value in row.items():
                results[tracer.name].setdefault(key, []).append(value)
            say(f"round {number + 1}: {tracer.name}: {row['share']:.1f} % of {untraced[-1]:.0f}/s")
    return {"tracers": results, "untraced": untraced}


def bpf_cost(tracers, seconds, folder):
    """Nanoseconds in BPF, from the kernel's own statistics, which cost something themselves: this
    is why they are taken apart from the rounds."""
    results = {}
    with bpf_statistics():
        for tracer in tracers:
            try:
                before = programs()
                with Running(tracer, folder) as running:
                    old = programs()
                    storm = run_storm(seconds)
                    now = programs()
                    running.stop()
            except Failed as failure:
                say(f"{tracer.name}: {failure}")
                continue
            rows = {}
            for number, program in now.items():
                runs = program["runs"] - old.get(number, program)["runs"]
                if number not in before and runs:
                    ns = program["ns"] - old[number]["ns"]
                    rows[program["name"]] = {"runs_per_connection": runs / storm["connections"],
                                             "ns_per_run": ns / runs, "ns": ns}
            total = sum(row["ns"] for row in rows.values())
            state = sum(row["ns"] for name, row in rows.items() if name not in tracer.not_of_states)
            results[tracer.name] = {
                "programs": rows, "ns_per_connection": total / storm["connections"],
                "ns_per_state_change": state / storm["connections"] / STATE_CHANGES}
            say(f"{tracer.name}: {results[tracer.name]['ns_per_state_change']:.0f} ns per change")
    return results


def starts(tracers, times, folder):
    """Milliseconds from exec to the ready line, one after the other and before any storm: what a
    storm leaves behind keeps the kernel busy for a while."""
    results = {t.name: [] for t in tracers}
    for _ in range(times):
        for tracer in tracers:
            with Running(tracer, folder) as running:
                results[tracer.name].append(running.start_ms)
                running.stop()
    return results


def idle(tracers, seconds, folder):
    """Percent of one processor while nothing happens."""
    results = {}
    for tracer in tracers:
        try:
            with Running(tracer, folder) as running:
                results[tracer.name] = running.idle_percent(seconds)
                running.stop()
        except Failed as failure:
            say(f"{tracer.name}: {failure}")
    return results


def scale(tracers, folder):
    """With 100,000 live sockets: resident memory, and the time to start."""
    results = {}
    for tracer in tracers:
        with Running(tracer, folder) as running:
            empty = running.rss_mb()
            with Held(50_000):  # both ends are here
                results[tracer.name] = {"rss_mb": running.rss_mb(), "rss_empty_mb": empty}
                with Running(tracer, folder) as second:
                    results[tracer.name]["start_ms"] = second.start_ms
                    second.stop()
            running.stop()
    return results


def long_storms(tracers, seconds, folder):
    results = {}
    for tracer in tracers:
        with Running(tracer, folder) as running:
            storm = run_storm(seconds, while_waiting=running.rotate)
            results[tracer.name] = {"rate": storm["rate"], "seconds": storm["seconds"],
                                    "rss_mb": running.rss_mb(), "lost": running.stop(),
                                    "audit": running.audit}
        say(f"{tracer.name}: {storm['connections']} connections in {storm['seconds']:.0f} s, "
            f"{results[tracer.name]['lost']} lost")
    return results


def chosen(names, all_of, what):
    """The entries of all_of that are asked for; each name may be a part of one."""
    if not names:
        return list(all_of)
    wanted = names.split(",")
    for name in wanted:
        if not any(name in str(x) for x in all_of):
            sys.exit(f"bench: no {what} '{name}' (there are {', '.join(map(str, all_of))})")
    return [x for x in all_of if any(name in str(x) for name in wanted)]


def main():
    parser = argparse.ArgumentParser(prog="bench.sh", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--seconds", type=float, default=4, metavar="S", help="of each storm")
    parser.add_argument("--only", default="", metavar="NAME,...", help="tracers")
    parser.add_argument("--parts", default="", metavar="NAME,...", help=", ".join(PARTS))
    parser.add_argument("--long", type=float, default=60, metavar="S", help="of the long storms")
    parser.add_argument("-o", default=str(BUILD / "bench.json"), metavar="FILE", help="JSON")
    parser.add_argument("--doc", metavar="FILE", help="put the tables into this file, between the "
                        "lines '<!-- bench -->' and '<!-- end of bench -->'")
    args = parser.parse_args()
    if not 1 <= args.rounds <= 100 or not 0.1 <= args.seconds <= 60 or not 1 <= args.long <= 600:
        sys.exit("bench: --rounds 1 to 100, --seconds 0.1 to 60, --long 1 to 600")
    if os.geteuid() != 0:
        sys.exit("bench: only root may trace: sudo scripts/bench.sh")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    tracers, parts = chosen(args.only, TRACERS, "tracer"), chosen(args.parts, PARTS, "part")
    ours = [t for t in tracers if t.ours]
    result = {"machine": bench_report.machine(), "options": vars(args)}
    with tempfile.TemporaryDirectory(prefix="tcpsaga-bench-", dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        steps = {"start": lambda: starts(ours, 9, folder),
                 "storm": lambda: storm_rounds(tracers, args.rounds, args.seconds, folder),
                 "cost": lambda: bpf_cost(tracers, args.seconds, folder),
                 "idle": lambda: idle(ours, 10, folder),
                 "scale": lambda: scale(ours, folder),
                 "long": lambda: long_storms(ours, args.long, folder),
                 "micro": bench_report.micro, "instructions": bench_report.instructions}
        for part in parts:
            say(f"{part}…")
            result[part] = steps[part]()
    pathlib.Path(args.o).write_text(json.dumps(result, indent=1) + "\n")
    text = bench_report.markdown(result)
    print(text)
    if args.doc:
        bench_report.put_into(pathlib.Path(args.doc), text)


if __name__ == "__main__":
    try:
        main()
    except (Failed, KeyboardInterrupt) as error:
        sys.exit(f"bench: {error or 'interrupted'}")
