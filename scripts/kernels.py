#!/usr/bin/python3 -B
"""Kernels to test on: resolve a series to Debian's newest cloud kernel, fetch it, keep it.

  kernels.py list                               the series, their exact versions, cached or not
  kernels.py fetch [--refresh] SERIES...|all    download and unpack
  kernels.py path [--refresh] SERIES            the folder with vmlinux, config and modules/

A series is one of those `list` shows, or another N.M that trixie-backports has. Old versions leave
the archive, so none is pinned: the newest in the series' suites is taken. What was found is used
for a week; when the archive cannot be reached, for longer, with a notice.
Cache: $TCPSAGA_VM_CACHE, else ~/.cache/tcpsaga/vm. Packages are unpacked, never installed.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

from kernel_archive import Archive, Failure
from kernel_image import extract

CACHE = pathlib.Path(os.environ.get("TCPSAGA_VM_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tcpsaga/vm")).absolute()
DAY = 86400
MAX_AGE = 7 * DAY
LAYOUT = 3  # of a kernel's folder; raise it and every kernel is fetched again

# name: (how the version starts, the suites to look in)
SERIES = {
    "5.10": ("5.10", ["bullseye", "bullseye-security"]),
    "6.1": ("6.1", ["bookworm", "bookworm-security"]),
    "6.12": ("6.12", ["bookworm-security", "bookworm-backports"]),
    "6.18": ("6.18", ["trixie-backports"]),
    "7": ("7", ["sid"]),
    "7-rc": ("7", ["experimental"]),
}
OTHER_SUITES = ["trixie-backports"]


def notice(text):
    print(f"kernels: {text}", file=sys.stderr, flush=True)


def plan(series):
    if series in SERIES:
        return SERIES[series]
    if re.fullmatch(r"\d+\.\d+", series):
        return series, OTHER_SUITES
    raise Failure(f"unknown series {series!r} (known: {' '.join(SERIES)}, or another N.M)")


@contextlib.contextmanager
def lock(series):
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        file = open(CACHE / f".{series}.lock", "w", encoding="ascii")
    except OSError as error:
        raise Failure(f"the cache: {error}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cached(series):
    """(kernel, age of its resolution), or None. The series' file names the kernel's folder and
    tells by its own time when the archive was last asked."""
    pointer = CACHE / f"{series}.kernel"
    try:
        name = pointer.read_text()
        if not name.endswith(f"_{LAYOUT}"):
            return None
        folder = CACHE / name
        kernel = json.loads((folder / "kernel.json").read_text())
        return {**kernel, "folder": folder}, time.time() - pointer.stat().st_mtime
    except (OSError, ValueError):
        return None


def install(archive, kernel, folder):
    """Folders are complete from the moment they have their name, and never change: a guest may be
    starting from one."""
    with tempfile.TemporaryDirectory(dir=CACHE, prefix=".new-") as scratch:
        root, new = pathlib.Path(scratch, "root"), pathlib.Path(scratch, "new")
        new.mkdir()
        archive.unpack(kernel["packages"], root)
        (new / "kernel.json").write_text(json.dumps({**kernel, **extract(root, new)}, indent=1))
        with contextlib.suppress(OSError):  # another series, another process: the same kernel
            os.rename(new, folder)


def prune():
    """Kernels that no series points to any more, once no guest can be starting from them."""
    used = {path.read_text() for path in CACHE.glob("*.kernel")}
    for path in CACHE.glob("*_*"):
        if path.name not in used and time.time() - path.stat().st_mtime > DAY:
            shutil.rmtree(path, ignore_errors=True)


def resolve(series, refresh):
    prefix, suites = plan(series)
    with lock(series):
        found = cached(series)
        if found and found[1] < MAX_AGE and not refresh:
            return found[0]  # another process has just done it
        try:
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=".apt-") as folder:
                archive = Archive(pathlib.Path(folder), suites)
                kernel = archive.newest(prefix)
                name = f"{kernel['release']}_{kernel['version']}_{LAYOUT}"
                if not (CACHE / name / "kernel.json").exists():
                    notice(f"{series}: fetching {' '.join(kernel['packages'])} ({kernel['version']})")
                    install(archive, kernel, CACHE / name)
            (CACHE / f"{series}.kernel").write_text(name)
            prune()
        except (Failure, OSError) as failure:
            if not found:
                raise Failure(f"{series}: {failure}") from failure
            again = time.time() - MAX_AGE + DAY / 24  # ask again in an hour, not at every run
            os.utime(CACHE / f"{series}.kernel", (again, again))
            notice(f"{series}: using {found[0]['release']} from the cache; not refreshed: {failure}")
            return found[0]
    return cached(series)[0]


def fetch(series, refresh=False):
    """The series' kernel: release, version, folder, modules (in load order), missing. Takes the
    network only if the cache has none, or an old one, or refresh is asked for."""
    plan(series)
    found = cached(series)
    if found and found[1] < MAX_AGE and not refresh:
        return found[0]
    return resolve(series, refresh)


def describe(kernel):
    lacks = f"  lacks {' '.join(kernel['missing'])}" if kernel["missing"] else ""
    return f"{kernel['release']:32} {kernel['version']:20}{lacks}"


def main(args):
    refresh = "--refresh" in args
    command, *names = [x for x in args if x != "--refresh"] or [""]
    if command == "list" and not names:
        others = {path.stem for path in CACHE.glob("*.kernel")} - set(SERIES)
        for series in [*SERIES, *sorted(others)]:
            found = cached(series)
            print(f"{series:6}", f"{describe(found[0])}  cached, {found[1] / DAY:.1f} days old"
                  if found else "not cached")
        return 0
    if command == "fetch" and names:
        failed = False
        for series in SERIES if names == ["all"] else names:
            try:
                print(f"{series:6}", describe(fetch(series, refresh)).rstrip(), flush=True)
            except Failure as failure:
                notice(failure)
                failed = True
        return int(failed)
    if command == "path" and len(names) == 1:
        print(fetch(names[0], refresh)["folder"])
        return 0
    print(__doc__, file=sys.stdout if command in ("-h", "--help") else sys.stderr)
    return 0 if command in ("-h", "--help") else 2


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # cleans up on its way
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except Failure as error:
        notice(error)
        sys.exit(1)
