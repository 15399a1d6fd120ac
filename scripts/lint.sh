#!/bin/bash
# Checks the sources: licence lines, format, clang-tidy, shell, Python. Needs a build in build/.
# A file that clang-tidy passed is not checked again until it, a header of it or the rules change.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
stamps=build/lint

if [ "${1-}" = --tidy ]; then # one file, called from below
    file=$2 key=$3
    # GCC's warning options are not all known to clang.
    if ! out=$(clang-tidy-16 -p build --quiet --extra-arg=-Wno-unknown-warning-option "$file" 2>&1); then
        grep -Ev '^[0-9]+ warnings? .*(generated|treated as error)' <<<"$out"
        exit 1
    fi
    echo "$key" >"$stamps/${file//\//_}"
    exit
fi

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

# The last build knows what each source includes. Of that, the files of this tree make the key.
rules=$(clang-tidy-16 --version; cat .clang-tidy)
declare -A includes
while read -r file header; do
    includes[$file]+="$header"$'\n'
done < <(ninja -C build -t deps | awk -v root="$PWD/" '
    /#deps/ { file = "" }
    /^ / && index($1, root) == 1 {
        name = substr($1, length(root) + 1)
        if (file == "") file = name # the source comes first
        print file, name
    }')
for file in "${sources[@]}"; do
    [[ $file == src/*.cc ]] || continue
    mapfile -t read_files < <(printf '%s' "${includes[$file]-$file}" | sort -u)
    key=$({ echo "$rules"; sha256sum "${read_files[@]}"; } 2>&1 | sha256sum)
    [ "$(cat "$stamps/${file//\//_}" 2>/dev/null)" = "$key" ] || printf '%s\0' "$file" "$key"
done | xargs -0 -r -n 2 -P "$(nproc)" scripts/lint.sh --tidy || failed=1

shellcheck .ci/run scripts/*.sh scripts/package/*.sh || failed=1

find scripts tests -name '*.py' -print0 |
    PYTHONPYCACHEPREFIX=$stamps/python xargs -0 -r python3 -m py_compile || failed=1

exit $failed
