#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `tcpsaga sockets` costs beside `ss -tanp`: wall clock and processor time of both, run in
turn, on connections over loopback in a network namespace of their own.

sockets_bench.py [--sockets 20000] [--processes 20] [--rounds 10] [--program build/tcpsaga] [ARGS]

ARGS are those of `tcpsaga sockets`; with -i or --json ss gets -i too. Run it as root.
"""
import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import time


def hold(count):
    """Holds both ends of `count` connections until its input ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * count + 64, 2 * count + 64))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    kept = []
    for _ in range(count):
        kept.append(socket.create_connection(listener.getsockname()))
        kept.append(listener.accept()[0])
    print("ready", flush=True)
    sys.stdin.read()


def measure(argv):
    """Seconds of wall clock and of processor time."""
    start = time.monotonic()
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    wall = time.monotonic() - start
    if status != 0:
        sys.exit(f"sockets_bench: {argv[0]} failed")
    return wall, usage.ru_utime + usage.ru_stime


def report(name, runs):
    walls, cpus = zip(*runs)
    print(f"{name:<28} wall {statistics.median(walls) * 1e3:7.1f} ms "
          f"({min(walls) * 1e3:.1f} to {max(walls) * 1e3:.1f}), "
          f"cpu {statistics.median(cpus) * 1e3:7.1f} ms")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sockets", type=int, default=20000)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--program", default="build/tcpsaga")
    parser.add_argument("--hold", type=int, help=argparse.SUPPRESS)
    args, more = parser.parse_known_args()
    if args.hold:
        return hold(args.hold)
    if "SOCKETS_BENCH" not in os.environ:  # once more, in a namespace of our own
        os.environ["SOCKETS_BENCH"] = "1"
        os.execvp("unshare", ["unshare", "-n", sys.executable] + sys.argv)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    each = args.sockets // args.processes // 2
    holders = [subprocess.Popen([sys.executable, __file__, "--hold", str(each)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
               for _ in range(args.processes)]
    for holder in holders:
        holder.stdout.readline()
    ours = [args.program, "sockets"] + more
    theirs = ["ss", "-tanpi" if {"-i", "--info", "--json"} & set(more) else "-tanp"]
    runs = {"ours": [], "theirs": []}
    for i in range(args.rounds + 1):
        pair = ours, theirs
        one, other = measure(pair[0]), measure(pair[1])
        if i > 0:  # the first round warms up
            runs["ours"].append(one)
            runs["theirs"].append(other)
    with open("/proc/net/sockstat", encoding="ascii") as file:
        print([line.strip() for line in file if line.startswith("TCP")][0])
    report(" ".join(["tcpsaga"] + ours[1:]), runs["ours"])
    report(" ".join(theirs), runs["theirs"])
    for what, i in (("wall", 0), ("cpu", 1)):
        ratio = statistics.median(a[i] / b[i] for a, b in zip(runs["ours"], runs["theirs"]))
        print(f"ratio {what}: {ratio:.2f}")
    for holder in holders:
        holder.stdin.close()
        holder.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
