#!/usr/bin/python3 -B
"""Runs each `$ command` of docs/examples/README.md there and compares what it prints with what the
page shows: examples_test.py FOLDER [--write]. --write puts what it prints into the page."""
import pathlib
import re
import subprocess
import sys

FOLDER = pathlib.Path(sys.argv[1])
PAGE = FOLDER / "README.md"


def output(command):
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False,
                          cwd=FOLDER)


def main():
    text = PAGE.read_text(encoding="utf-8")
    runs, wrong = 0, []

    def run(block):
        nonlocal runs
        # The block's first line and those indented after it are the command, the rest its output.
        lines = block[1].splitlines(keepends=True)
        size = 1
        while size < len(lines) and lines[size].startswith("  "):
            size += 1
        command = "".join(lines[:size])
        ran = output(command[2:])
        runs += 1
        if ran.returncode != 0 or not ran.stdout or ran.stdout != "".join(lines[size:]):
            wrong.append(f"{command}printed\n{ran.stdout}{ran.stderr}")
        return "```\n" + command + ran.stdout + "```\n"

    made = re.sub(r"```\n(\$ .*?)```\n", run, text, flags=re.S)
    if "--write" in sys.argv:
        PAGE.write_text(made, encoding="utf-8")
        return 0
    print("\n".join(wrong) or f"{runs} examples")
    return 1 if wrong or runs == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
