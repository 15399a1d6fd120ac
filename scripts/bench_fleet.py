#!/usr/bin/env python3
"""What the agent of a fleet costs beside --json to a file, and what a reader costs: as root,
bench_fleet.py [--connections N] [--rate N] [--rounds N] [--build FOLDER]. Needs nats-server and the
target `storm`; everything stays on loopback. Prints a table for docs/performance.md."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile

PORT = 42217


def wait_for_line(process, text):
    """Of its standard error."""
    for line in process.stderr:
        if text in line:
            return
    raise SystemExit(f"bench_fleet: {process.args[0]} ended early")


def cpu_of(process):
    """Its user and system seconds, once it has ended; what else it said."""
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    return usage.ru_utime + usage.ru_stime, said


def traced(args, program, storm, where):
    """CPU seconds and events of a tracer during a storm."""
    tracer = subprocess.Popen([program, "trace", "--json", "-o", where], stderr=subprocess.PIPE,
                              text=True)
    wait_for_line(tracer, "ready (")
    subprocess.run([storm, "--count", str(args.connections), "--rate", str(args.rate),
                    "--seconds", "600"], check=True, stdout=subprocess.DEVNULL)
    tracer.terminate()
    seconds, said = cpu_of(tracer)
    last = [line for line in said.splitlines() if " events, " in line][-1].split()
    if last[3] != "0":
        print("note:", " ".join(last))
    return seconds, int(last[1])


def read(program, place):
    """CPU seconds, lines and bytes of a reader of all that is there."""
    with tempfile.NamedTemporaryFile() as out:
        reader = subprocess.Popen([program, "fleet", place, "trace", "--json", "--once", "--wait",
                                   "0", "-o", out.name], stderr=subprocess.PIPE, text=True)
        seconds, _ = cpu_of(reader)
        data = pathlib.Path(out.name).read_bytes()
    return seconds, data.count(b"\n"), len(data)


def stored(place):
    """Messages and bytes that the server keeps, by its monitoring page."""
    text = subprocess.run(["curl", "-s", f"http://127.0.0.1:{PORT + 1}/jsz?streams=1"],
                          check=True, capture_output=True, text=True).stdout
    state = json.loads(text)["account_details"][0]["stream_detail"]
    state = [s for s in state if s["name"] == place.rsplit("/", 1)[1]][0]["state"]
    return state["messages"], state["bytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=20000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", default="build")
    args = parser.parse_args()
    program, storm = f"{args.build}/tcpsaga", f"{args.build}/tests/bench/storm"
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(["nats-server", "-js", "-sd", f"{folder}/store", "-a", "127.0.0.1",
                                   "-p", str(PORT), "-m", str(PORT + 1)], stderr=subprocess.PIPE,
                                  text=True)
        try:
            wait_for_line(server, "Server is ready")
            place = f"nats://127.0.0.1:{PORT}/BENCH"
            subprocess.run([program, "fleet", "init", place], check=True)
            to_file, to_nats = [], []
            for n in range(args.rounds):
                to_file.append(traced(args, program, storm, f"{folder}/{n}.jsonl"))
                to_nats.append(traced(args, program, storm, f"{place}?spool={folder}/spool"))
            messages, kept = stored(place)
            reader = read(program, place)
        finally:
            server.terminate()
            server.wait()

    def per_event(runs):
        return statistics.median(s / n * 1e9 for s, n in runs)
    events = sum(n for _, n in to_nats)
    connections = args.connections * args.rounds
    print("| | |\n|---|---|")
    print(f"| `trace --json -o FILE`, CPU per event | {per_event(to_file):,.0f} ns |")
    print(f"| `trace -o nats://...`, CPU per event | {per_event(to_nats):,.0f} ns |")
    print(f"| events per connection, both ends | {events / connections:.1f} |")
    print(f"| stored per connection | {kept / connections:,.0f} bytes |")
    print(f"| stored per event | {kept / events:,.0f} bytes |")
    print(f"| events per message | {events / messages:.0f} |")
    print(f"| `fleet trace --json`, CPU per event | {reader[0] / reader[1] * 1e9:,.0f} ns |")
    print(f"| the same, events per second and core | {reader[1] / reader[0]:,.0f} |")


if __name__ == "__main__":
    main()
