#!/bin/bash
# Which lines of src/ and include/ the unit tests run: coverage.sh [FOLDER], build/coverage unless told.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
folder=${1-build/coverage}
cmake -S . -B "$folder" -G Ninja --log-level=WARNING -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_CXX_FLAGS=--coverage >/dev/null
ninja -C "$folder" --quiet unit_test
find "$folder" -name '*.gcda' -delete
"$folder/tests/unit/unit_test" --gtest_brief=1 >/dev/null ||
    echo "coverage: a unit test fails; what it ran counts all the same" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$PWD
objects=$(realpath "$folder")
cd "$work"
# A header is in many objects: its line counts once, and is run when any of them ran it.
find "$objects" -name '*.gcno' -exec gcov-12 --json-format --stdout {} + 2>/dev/null |
    "$root/scripts/coverage_table.py" "$root"
