#!/bin/sh
# Built without NATS it needs no libnats, and says so where it is asked for: without_nats_test.sh PROGRAM OTHER.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ldd "$1" >"$work/needs"
ldd "$2" | grep -q 'libnats\.so' # what is looked for below is there to be found
if grep 'libnats\.so' "$work/needs"; then
    echo "libnats is needed all the same" >&2
    exit 1
fi
says() {
    expected=$1 code=0
    shift
    "$@" >"$work/out" 2>"$work/err" || code=$?
    echo "tcpsaga: $expected; this tcpsaga was built without NATS" | diff - "$work/err"
    [ $code = 1 ] && [ ! -s "$work/out" ]
}
says 'cannot read nats://127.0.0.1/S' "$1" fleet nats://127.0.0.1/S life
says 'cannot make nats://127.0.0.1/S' "$1" fleet init nats://127.0.0.1/S
says 'cannot write to nats://127.0.0.1/S' "$1" trace -o nats://127.0.0.1/S
