#!/usr/bin/python3 -B
"""Run a command under another kernel: vm.py [options] SERIES|all -- CMD [ARG...]

The guest (QEMU, software emulation) sees this machine's files: read-only, but for the checkout,
the current folder and each --write folder. What is written to /etc, /var, /root, /home, /tmp and
/run stays in the guest. CMD runs as root in the current folder, with empty standard input and an
environment of PATH, HOME, LANG, the variables that TCPSAGA_VM_ENV names, and TCPSAGA_VM, which is
the kernel's release. The first line on standard error names the kernel. `all` runs every series
of kernels.py, two at a time, with a line for each at the end.

Exit status: CMD's own; 124 it timed out; 125 the guest died; 126 no guest could be started;
77 the kernel is neither cached nor to be had now. `all` leaves such kernels out, says so, and
returns 0 if CMD succeeded on all the others and there were any, else 1.
"""
import argparse
import concurrent.futures
import os
import shutil
import signal
import sys
import tempfile
import threading
import time

import kernels
from kernel_archive import Failure
from vm_guest import Guest, Settings

STOP = threading.Event()


def stop_on_signals():
    """The first signal lets every guest end and clean up; a second one does not wait for that (the
    guests' processes die with this one in any case)."""
    def handle(number, _):
        if STOP.is_set():
            os._exit(128 + number)
        STOP.signal = number
        STOP.set()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handle)


def run_one(kernel, settings, out, err):
    """Returns CMD's exit status or one of ours."""
    lacks = f", without {' '.join(kernel['missing'])}" if kernel["missing"] else ""
    err.write(f"vm: Linux {kernel['release']} ({kernel['version']}){lacks}\n".encode())
    err.flush()
    try:
        with Guest(kernel, settings) as guest:
            return guest.run(out, err, STOP)
    except BrokenPipeError:  # our own reader left
        raise
    except (Failure, OSError) as failure:
        err.write(f"vm: {failure}\n".encode())
        return 126


def run_all(settings):
    found, skipped = {}, {}
    for series in kernels.SERIES:
        try:
            found[series] = kernels.fetch(series)
        except Failure as failure:
            skipped[series] = failure
    stop_on_signals()

    def run(kernel):
        start, out, err = time.monotonic(), tempfile.TemporaryFile(), tempfile.TemporaryFile()
        status = 130 if STOP.is_set() else run_one(kernel, settings, out, err)
        return status, time.monotonic() - start, out, err

    summary = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for series, ended in [(x, pool.submit(run, kernel)) for x, kernel in found.items()]:
            status, seconds, *streams = ended.result()
            for stream, target in zip(streams, (sys.stdout.buffer, sys.stderr.buffer)):
                stream.seek(0)
                shutil.copyfileobj(stream, target)
                target.flush()
            summary.append((series, status, f"{found[series]['release']:32} {seconds:6.1f} s"))
    for series, status, text in summary:
        result = "pass" if status == 0 else f"FAIL {status}"
        print(f"vm: {series:6} {text}  {result}", file=sys.stderr)
    for series, reason in skipped.items():
        print(f"vm: {series:6} SKIPPED: {reason}", file=sys.stderr)
    return int(not found or any(status for _, status, _ in summary))


def main(args):
    options, command = (args[:args.index("--")], args[args.index("--") + 1:]) if "--" in args else (args, [])
    parser = argparse.ArgumentParser(usage="vm.py [options] SERIES|all -- CMD [ARG...]", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpus", type=int, default=1, metavar="N", help="processors (1)")
    parser.add_argument("--memory", default="1G", metavar="SIZE", help="as QEMU takes it (1G)")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECS", help="boot included (300)")
    parser.add_argument("--append", default="", metavar="TEXT", help="to the kernel's command line")
    parser.add_argument("--write", default=[], metavar="DIR", action="append", help="a writable folder")
    parser.add_argument("series")
    options = parser.parse_args(options)
    if not command:
        parser.error("no command: SERIES -- CMD [ARG...]")
    for folder in options.write:
        if not os.path.isdir(folder):
            parser.error(f"--write {folder}: no such folder")
    settings = Settings(command, options.cpus, options.memory, options.timeout,
                        [os.getcwd(), *map(os.path.realpath, options.write)], options.append)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # while fetching
    if options.series == "all":
        status = run_all(settings)
    else:
        kernels.plan(options.series)
        try:
            kernel = kernels.fetch(options.series)
        except Failure as failure:
            print(f"vm: no kernel: {failure}", file=sys.stderr)
            return 77
        stop_on_signals()
        status = run_one(kernel, settings, sys.stdout.buffer, sys.stderr.buffer)
    return 128 + STOP.signal if STOP.is_set() else status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(141)
    except Failure as error:
        print(f"vm: {error}", file=sys.stderr)
        sys.exit(2)
