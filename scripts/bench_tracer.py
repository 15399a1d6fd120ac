#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Starts and watches the tracers and the storms of bench.py."""

import contextlib
import ctypes
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STORM = BUILD / "tests" / "bench" / "storm"
READY_SECONDS = 60


class Failed(Exception):
    """One line that names the thing and what it said."""


class Tracer:
    def __init__(self, name, command, ours=False, not_of_states=()):
        self.name, self.command, self.ours = name, command, ours
        self.not_of_states = not_of_states  # programs that are not run by state changes

    def __str__(self):
        return self.name

    @property
    def says_ready(self):
        return self.ours or self.name == "empty"


TCPSAGA = str(BUILD / "tcpsaga")
TRACERS = [
    Tracer("empty", [str(BUILD / "tests" / "bench" / "empty_tracer")]),
    Tracer("tcpsaga life", [TCPSAGA, "life", "-o", "OUTPUT"], True, ("tp_accept",)),
    Tracer("tcpsaga trace --json", [TCPSAGA, "trace", "--json", "-o", "OUTPUT"], True,
           ("tp_accept",)),
    Tracer("libbpf-tools tcplife", ["tcplife"]),
    Tracer("libbpf-tools tcpstates", ["tcpstates"]),
    Tracer("bpftrace tcplife.bt", ["tcplife.bt"]),
    Tracer("bcc tcplife", ["tcplife-bpfcc"]),
    Tracer("bcc tcpstates", ["tcpstates-bpfcc"]),
]
# Some peers need tracefs, which may not be mounted here: in a mount namespace of their own.
MOUNT = ["unshare", "-m", "sh", "-c",
         "mount -t debugfs none /sys/kernel/debug; mount -t tracefs none /sys/kernel/tracing; "
         'exec "$0" "$@"']


def fields_of(pid):
    """/proc/PID/stat behind the name."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def has_programs(pid):
    """The process holds a loaded BPF program, and how many descriptors in all."""
    descriptors = []
    for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            descriptors.append(path.read_text())
    return any("prog_type:" in x or "prog_id:" in x for x in descriptors), len(descriptors)


class Running:
    """A tracer from its start to its end. Its output goes to a file, which goes with it."""

    def __init__(self, tracer, folder):
        self.tracer, self.output = tracer, folder / f"output-{time.monotonic_ns()}"
        self.errors = folder / "errors"
        self.process, self.start_ms, self.audit, self.written_mb = None, None, None, 0
        self.rotated = time.monotonic()

    def __enter__(self):
        if not shutil.which(self.tracer.command[0]):
            raise Failed(f"{self.tracer.command[0]} is not installed")
        command = [str(self.output) if x == "OUTPUT" else x for x in self.tracer.command]
        started = time.monotonic()
        with open(self.errors, "wb") as errors, open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                command if self.tracer.says_ready else MOUNT + command,
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd="/")
        try:
            self._wait_ready(started)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_ready(self, started):
        steady = None
        while True:
            text = self.errors.read_text(errors="replace")
            if self.process.poll() is not None:
                lines = [x for x in (text + self.output.read_text(errors="replace")).splitlines() if x]
                wrong = [x for x in lines if 'raise ' not in x and re.search("error|fail|cannot|unable|no such", x, re.I)]
                why = (wrong or lines[-1:] or [f"exit code {self.process.returncode}"])[0]
                raise Failed(f"does not run here: {why.strip()[:120]}")
            if self.tracer.says_ready and "ready" in text:
                break
            if not self.tracer.says_ready:
                # Attached once it has programs, and no further descriptors for a second.
                now = has_programs(self.process.pid)
                if steady is None or steady[0] != now:
                    steady = (now, time.monotonic())
                elif now[0] and time.monotonic() - steady[1] > 1:
                    break
            if time.monotonic() - started > READY_SECONDS:
                raise Failed(f"not ready within {READY_SECONDS} s")
            time.sleep(0.002)
        if self.tracer.says_ready:
            self.start_ms = 1000 * (time.monotonic() - started)
        time.sleep(0.2)

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.unlink(missing_ok=True)

    def cpu_seconds(self):
        user, system = fields_of(self.process.pid)[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def idle_percent(self, seconds):
        """In nanoseconds from the scheduler: clock ticks are too coarse."""
        def ran():
            tasks = pathlib.Path(f"/proc/{self.process.pid}/task").iterdir()
            return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks)
        before, start = ran(), time.monotonic()
        time.sleep(seconds)
        return (ran() - before) / 1e7 / (time.monotonic() - start)

    def rss_mb(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+) kB", status)[1]) / 1024

    def rotate(self):
        """Every five seconds another file, so that the disk does not fill."""
        if time.monotonic() - self.rotated < 5 or not self.output.exists():
            return
        self.rotated = time.monotonic()
        self.written_mb += self.output.stat().st_size / 1e6
        self.output.unlink()
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """Ends it; returns how many events it says it lost."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            raise Failed("does not end within 60 s of SIGINT") from None
        text = self.errors.read_text(errors="replace")
        if self.output.exists():
            self.written_mb += self.output.stat().st_size / 1e6
        if self.tracer.ours:
            self.audit = re.search(r"audit: (\d+ of \d+) counters", text)[1]
            if self.process.returncode != 0:
                raise Failed(f"exit code {self.process.returncode}: {text.splitlines()[-1]}")
            return int(re.search(r"events, (\d+) lost", text)[1])
        return sum(map(int, re.findall(r"[Ll]ost (\d+) ", text)))


class Held:
    """So many connections that stay open, both ends on this machine."""

    def __init__(self, connections):
        self.command = [STORM, "--hold", str(connections)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        if not self.process.stdout.readline():
            raise Failed(f"storm --hold: exit code {self.process.wait()}")
        time.sleep(1)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def run_storm(seconds, while_waiting=lambda: None):
    process = subprocess.Popen([STORM, "--seconds", str(seconds)], stdout=subprocess.PIPE)
    while process.poll() is None:
        while_waiting()
        time.sleep(0.02)
    if process.returncode != 0:
        raise Failed(f"storm: exit code {process.returncode}")
    time.sleep(0.2)  # what it left behind is cleaned up
    return json.loads(process.stdout.read())


@contextlib.contextmanager
def bpf_statistics():
    """The kernel keeps run_time_ns and run_cnt while the descriptor is open (Linux 5.8)."""
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    attributes = ctypes.create_string_buffer(128)  # type 0: BPF_STATS_RUN_TIME
    fd = ctypes.CDLL(None, use_errno=True).syscall(number, 32, attributes, len(attributes))
    if fd < 0:
        raise Failed(f"BPF_ENABLE_STATS: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.close(fd)


def programs():
    """{id: name, nanoseconds, runs} of all BPF programs that are loaded."""
    listed = subprocess.run(["bpftool", "-j", "prog", "show"], stdout=subprocess.PIPE, check=True)
    return {p["id"]: {"name": p.get("name", "?"), "ns": p.get("run_time_ns", 0),
                      "runs": p.get("run_cnt", 0)} for p in json.loads(listed.stdout)}


if __name__ == "__main__":
    sys.exit(__doc__)
