#!/usr/bin/python3 -B
# SPDX-License-Identifier: BSD-2-Clause
"""Fetches the BTF of Debian's newest arm64 6.1 kernel, for checking relocations against it.

usage: arm64_btf.py          prints the path of the cached file, fetching it first if need be

The kernel is only looked into, never run."""
import os
import pathlib
import struct
import sys
import tempfile

from kernel_archive import Archive, Failure

CACHE = pathlib.Path(os.environ.get("TCPSAGA_VM_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                                  pathlib.Path.home() / ".cache") / "tcpsaga" / "vm")


def find_btf(image):
    """The BTF blob in a raw arm64 Image: struct btf_header (include/uapi/linux/btf.h) with
    magic 0xeb9f, version 1, no flags, 24 bytes long, types first and strings behind them. Of
    several the largest is vmlinux's."""
    header, best, at = b"\x9f\xeb\x01\x00\x18\x00\x00\x00", b"", -1
    while (at := image.find(header, at + 1)) >= 0:
        type_off, type_len, str_off, str_len = struct.unpack_from("<IIII", image, at + 8)
        size = 24 + str_off + str_len
        if type_off == 0 and str_off == type_len and len(best) < size <= len(image) - at:
            best = image[at:at + size]
    if not best:
        raise Failure("no BTF in the arm64 kernel image")
    return best


def main():
    target = CACHE / "arm64.btf"
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            archive = Archive(folder / "apt", ["bookworm", "bookworm-security"], "arm64")
            kernel = archive.newest("6.1")
            archive.unpack(kernel["packages"], folder / "root")
            image = next((folder / "root" / "boot").glob("vmlinuz-*")).read_bytes()
            btf = find_btf(image)  # Debian's is the raw Image, with an EFI stub in front
        CACHE.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        part.write_bytes(btf)
        part.rename(target)
        print(f"arm64_btf: BTF of Linux {kernel['release']}", file=sys.stderr)
    print(target)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"arm64_btf: {failure}")
