#!/bin/sh
# libbpf is inside of PROGRAM, and it finds what OTHER does: static_test.sh PROGRAM OTHER.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ldd "$1" >"$work/needs"
ldd "$2" | grep -q 'libbpf\.so' # what is looked for below is there to be found
if grep 'libbpf\.so' "$work/needs"; then
    echo "libbpf is not inside" >&2
    exit 1
fi
expected=0 code=0
"$2" check >"$work/expected" || expected=$?
"$1" check >"$work/found" || code=$?
diff "$work/expected" "$work/found"
[ $code = $expected ] && [ $code != 1 ]
