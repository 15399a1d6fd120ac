#!/bin/bash
# Checks the sources: licence lines, format, clang-tidy, shell, Python. Needs a build in build/.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
stamps=build/lint
failed=0
mkdir -p $stamps
[ -e build/compile_commands.json ] || {
    echo "lint: nothing is built yet: scripts/build.sh" >&2
    exit 1
}
mapfile -t sources < <(find bpf vmlinux include src tests -name '*.[ch]' -o -name '*.cc' | sort)

# LICENSE says which part is under which.
for file in "${sources[@]}"; do
    case $file in
    bpf/* | vmlinux/* | include/tcpsaga/abi*.h) licence='GPL-2.0 OR BSD-2-Clause' ;;
    *) licence='BSD-2-Clause' ;;
    esac
    read -r first <"$file" || true
    if [[ $first != "// SPDX-License-Identifier: $licence" &&
        $first != "/* SPDX-License-Identifier: $licence */" ]]; then
        echo "$file:1: the first line must be SPDX-License-Identifier: $licence"
        failed=1
    fi
done

clang-format --dry-run -Werror "${sources[@]}" || failed=1

scripts/tidy.py || failed=1

shellcheck .ci/run scripts/*.sh scripts/package/*.sh tests/*/*.sh || failed=1

find scripts tests -name '*.py' -print0 |
    PYTHONPYCACHEPREFIX=$stamps/python xargs -0 -r python3 -m py_compile || failed=1

exit $failed
