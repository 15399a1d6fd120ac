#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""clang-tidy over src/*.cc, as the build in build/ compiles them.

A file that passed is not checked again until it, a header of it or the rules change. Where many of a
library are to be checked they are read as one file: most of the time goes to the headers that they
share. Where that cannot be compiled, each is read by itself."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
STAMPS = BUILD / "lint"
TIDY = "clang-tidy-16"
FEW = 2
# Files of a joint one count as its headers. Not abi.h: BPF C includes it too.
HEADERS = r"(include/tcpsaga/([^a]|a[^b]|ab[^i])|src/)[^ ]*\.(h|cc)$"


def rules():
    version = subprocess.run([TIDY, "--version"], capture_output=True, text=True, check=True).stdout
    return version + (ROOT / ".clang-tidy").read_text() + HEADERS


def includes():
    """By source: what of this tree the last build read for it, itself included."""
    text = subprocess.run(["ninja", "-C", BUILD, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    by_source = {}
    for block in text.split("\n\n"):
        files = [pathlib.Path(os.path.normpath(BUILD / line.strip())) for line in block.splitlines()[1:]]
        files = [f for f in files if f.is_relative_to(ROOT)]
        if files:
            by_source[files[0]] = files
    return by_source


def flags_of(command):
    """What says where headers are and how to read them."""
    words, flags = shlex.split(command), []
    for i, word in enumerate(words):
        if word in ("-isystem", "-I", "-D"):
            flags.append((word, words[i + 1]))
        elif re.match("-(I|D|std|f(?!sanitize))", word):
            flags.append((word,))
    return flags


def tidy(files, flags):
    """(passed, what it said, it could be read)"""
    source = files[0]
    if len(files) > 1:
        source = STAMPS / ("joint_" + "_".join(files[0].relative_to(ROOT).parts))
        text = "".join(f'#include "{f}"\n' for f in files)
        source.write_text(f"// NOLINTBEGIN(bugprone-suspicious-include)\n{text}// NOLINTEND(bugprone-suspicious-include)\n")
    flat = [word for flag in dict.fromkeys(flags) for word in flag]
    ran = subprocess.run([TIDY, "--quiet", f"--config-file={ROOT / '.clang-tidy'}", f"--header-filter={HEADERS}",
                          source, "--", *flat],
                         cwd=BUILD, capture_output=True, text=True)
    said = "\n".join(line for line in (ran.stdout + ran.stderr).splitlines()
                     if not re.match(r"\d+ warnings? .*(generated|treated as error)", line))
    return ran.returncode == 0, said, "clang-diagnostic-error" not in said


def compiled():
    """(file, its library, flags, what was read for it) of src/. A build may read several as one (UNITY_BUILD)."""
    read = includes()
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        unit, flags = pathlib.Path(entry["file"]), flags_of(entry["command"])
        files = [unit]
        if unit.parent.name == "Unity":
            files = [pathlib.Path(x) for x in re.findall(r'#include "(.*)"', unit.read_text())]
        for file in files:
            if file.is_relative_to(ROOT / "src"):
                library = re.search(r"CMakeFiles/(\w+)\.dir/", entry["command"]).group(1)
                yield file, library, flags, {file, *read.get(unit, [])} - {unit}


def main():
    STAMPS.mkdir(parents=True, exist_ok=True)
    known = rules()
    stale, keys, flags = {}, {}, {}
    for file, library, flags[file], read in compiled():
        key = hashlib.sha256(known.encode())
        for name in sorted(read | {file}):
            key.update(hashlib.sha256(name.read_bytes()).digest())
        keys[file] = key.hexdigest()
        stamp = STAMPS / "_".join(file.relative_to(ROOT).parts)
        if not stamp.exists() or stamp.read_text() != keys[file]:
            stale.setdefault((library, file.parent), []).append(file)

    def check(files):
        passed, said, readable = tidy(files, [flag for f in files for flag in flags[f]])
        if not readable and len(files) > 1:
            return all([check([f]) for f in files])
        if said.strip():
            print(said, flush=True)
        if passed:
            for f in files:
                (STAMPS / "_".join(f.relative_to(ROOT).parts)).write_text(keys[f])
        return passed

    groups = []
    for files in stale.values():
        groups += [files] if len(files) > FEW else [[f] for f in files]
    groups.sort(key=len, reverse=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        sys.exit(not all(list(pool.map(check, groups))))


if __name__ == "__main__":
    main()
