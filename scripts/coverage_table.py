#!/usr/bin/python3 -B
"""From gcov's JSON, a document a line, the share of lines run, per folder and file:
coverage_table.py ROOT."""
import collections
import json
import pathlib
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    runs = collections.defaultdict(lambda: collections.defaultdict(int))
    for document in sys.stdin:
        if not document.startswith("{"):
            continue
        parsed = json.loads(document)
        for file in parsed["files"]:
            path = (pathlib.Path(parsed["current_working_directory"]) / file["file"]).resolve()
            if path.is_relative_to(root / "src") or path.is_relative_to(root / "include"):
                for line in file["lines"]:
                    runs[path.relative_to(root)][line["line_number"]] += line["count"]
    folders = collections.defaultdict(lambda: [0, 0])
    for path, lines in sorted(runs.items()):
        run = sum(1 for count in lines.values() if count)
        print(f"{100 * run / len(lines):6.1f} %  {run:5} of {len(lines):5}  {path}")
        for group in (str(path.parent), "all"):
            folders[group][0] += run
            folders[group][1] += len(lines)
    print()
    for name, (run, lines) in folders.items():
        if name != "all":
            print(f"{100 * run / lines:6.1f} %  {run:5} of {lines:5}  {name}")
    run, lines = folders["all"]
    print(f"{100 * run / lines:6.1f} %  {run:5} of {lines:5}  all")


if __name__ == "__main__":
    main()
