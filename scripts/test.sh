#!/bin/bash
# All tests: test.sh [CTEST ARGS], such as -R unit or -L live. Installs what is missing.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/dependencies.sh build test
scripts/build.sh --tests release
# Kept for a week; without one its tests are skipped, and say so.
scripts/kernels.py fetch all >/dev/null ||
    echo "test: not every kernel to test on could be had (above)" >&2
# Two more than processors: guests that attach or detach, and hosts that are cut off, mostly wait.
ctest --test-dir build -j$(($(nproc) + 2)) --output-on-failure "$@" && exit
code=$?
# Far above, by now.
echo "test: what failed:" >&2
grep -aE -A 8 '^\[  FAILED  \]|: Failure$|SECOND TRY' build/Testing/Temporary/LastTest.log |
    head -n 150 >&2
exit $code
