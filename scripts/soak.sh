#!/bin/bash
# A long storm, and what it does to the tracer: soak.sh [SECONDS [HELD]], ten minutes and 50000
# connections that are open before the start unless told. Half-way the tracer is stopped for five
# seconds. Of less than a minute all is shorter. Root only; all of it in a network namespace of its own. Prints the tracer's memory as it goes; fails when
# that grows, when the audit has a difference that nothing explains, when the connections that were
# open are not all known, or when the storm after the stop is not seen whole.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
seconds=${1-600} held=${2-50000}
if [ -z "${TCPSAGA_SOAK_INSIDE-}" ]; then
    scripts/build.sh --tests release tcpsaga peer
    exec env TCPSAGA_SOAK_INSIDE=1 unshare --net "$0" "$seconds" "$held"
fi
peer=build/tests/live/peer
ip link set lo up
ulimit -n 16384
echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range
echo 100000 >/proc/sys/net/core/somaxconn
work=$(mktemp -d)
started=()
clean_up() {
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
fail() {
    echo "soak: $*" >&2
    exit 1
}
line_of() { # FILE TEXT: waits for it
    until grep -q "$2" "$1"; do
        kill -0 "${started[-1]}" 2>/dev/null || fail "$(cat "$1")"
        sleep 0.05
    done
    grep -m 1 "$2" "$1"
}
listen() { # NAME WORDS...: a server of peer's; its port into $port
    "$peer" "${@:2}" >"$work/$1" 2>&1 &
    started+=($!)
    port=$(line_of "$work/$1" '^port ' | cut -d' ' -f2)
}

each=10000
for ((n = 0; n < held; n += each)); do # ports are few, addresses are many
    count=$((held - n < each ? held - n : each))
    listen "keep$n" keep "127.1.0.$((n / each + 1))" 0 "$count"
    "$peer" stay "127.1.0.$((n / each + 1))" "$port" "$count" >"$work/stay$n" 2>&1 &
    started+=($!)
    line_of "$work/stay$n" kept >/dev/null
done
listen serve serve 0.0.0.0 0
server=$port

listen last serve 127.0.0.1 0

# All lines are made and read; few are kept.
mkfifo "$work/fifo"
grep --line-buffered -E "\"event\":\"summary\"|port\":$port," "$work/fifo" >"$work/out" &
started+=("$!")
begin=${EPOCHREALTIME/./}
build/tcpsaga trace --event close --json -o "$work/fifo" --netns self --audit strict 2>"$work/err" &
tracer=$!
started+=("$tracer")
line_of "$work/err" 'tcpsaga: ready'
echo "ready after $(((${EPOCHREALTIME/./} - begin) / 1000)) ms with $held connections open"
memory() {
    awk '/^RssAnon/ { print $2 }' "/proc/$tracer/status"
}
summarize() { # the number of the summary to wait for
    kill -USR1 $tracer
    until [ "$(grep -c '"event":"summary"' "$work/out")" -ge "$1" ]; do
        kill -0 $tracer 2>/dev/null || fail "$(tail -3 "$work/err")"
        sleep 0.05
    done
    grep '"event":"summary"' "$work/out" | tail -1
}
alive=$(summarize 1 | jq .alive)
[ "$alive" -ge $((2 * held)) ] || fail "of $((2 * held)) ends that were open only $alive are known"
echo "$alive sockets known, $(memory) kB"

storm() { # SECONDS: short connections, each thousand to another address
    local until=$((SECONDS + $1)) i=0
    while [ $SECONDS -lt $until ]; do
        i=$(((i + 1) % 250))
        "$peer" storm 127.0.1.$((i + 1)) "$server" 1000
        storms=$((storms + 1000))
    done
}
storms=0 first='' stopped=''
step=10 stop=5 warm=30000
[ "$seconds" -ge 60 ] || step=3 stop=2 warm=1
end=$((SECONDS + seconds)) half=$((SECONDS + seconds / 2))
looks=0
while [ $SECONDS -lt $end ] || [ $looks -lt 2 ]; do
    storm $step
    looks=$((looks + 1))
    if [ -z "$stopped" ] && [ $SECONDS -ge $half ]; then
        stopped=$storms
        kill -STOP $tracer
        storm $stop
        kill -CONT $tracer
        storm $step
    fi
    now=$(memory)
    echo "$storms connections, $now kB"
    # What the first connections of each address bring is no growth.
    [ $storms -lt $warm ] || first=${first:-$now}
done
lost=$(summarize 2 | jq '.lost_ring')
echo "lost while stopped: $lost records"
"$peer" storm 127.0.0.1 "$port" 1000
code=0
kill -INT $tracer
wait $tracer || code=$?
sed -n '$p' "$work/err"
jq -c 'select(.event == "summary" and .final) | .audit[] | select(.kernel != .seen)' "$work/out"
[ $code = 0 ] || fail "exit code $code: $(tail -5 "$work/err")"
whole=$(jq -c "select(.event == \"close\" and (.lport == $port or .rport == $port))" "$work/out" | wc -l)
[ "$whole" = 2000 ] || fail "of the last 2000 ends $whole were seen"
echo "memory: $first kB at first, $now kB at last"
# A connection whose end was lost is kept, until its place is needed: 100 bytes per record that was lost.
[ "$now" -le $((first + first / 10 + 1024 + lost / 10)) ] || fail "memory grows"
