#!/bin/bash
# Builds: build.sh [--tests] [PRESET [TARGET...]]. PRESET: release (default), debug, asan.
# Says something only when there is something to say.
set -euo pipefail
scripts=$(dirname "$(realpath "$0")")
cd "$scripts/.."

tests=
if [ "${1-}" = --tests ]; then
    tests=1
    shift
fi
preset=${1-release}
shift || true
case $preset in
release) folder=build ;;
debug | asan) folder=build/$preset ;;
*)
    echo "build: no preset '$preset' (there are release, debug, asan)" >&2
    exit 2
    ;;
esac

"$scripts/dependencies.sh" build ${tests:+test}

# Two builds of one tree at a time would tread on each other.
exec {lock}<.
flock $lock

# A build under sudo leaves nothing in the tree that its owner cannot change.
if [ "$(id -u)" = 0 ] && [ "$(stat -c %u .)" != 0 ]; then
    trap 'find build -uid 0 -exec chown -h --reference=. {} + 2>/dev/null || true' EXIT
fi

# Without GoogleTest there is nothing to configure the tests with: they join once they are asked for.
configured() {
    [ "$folder/build.ninja" -nt CMakePresets.json ] &&
        { [ -z "$tests" ] || grep -q '^TCPSAGA_TESTS:BOOL=ON' "$folder/CMakeCache.txt"; }
}
if ! configured; then
    [ -e "$folder/build.ninja" ] || echo "build: $folder for the first time, a minute or so" >&2
    options=()
    if [ -n "$tests" ]; then
        options=(-DTCPSAGA_TESTS=ON)
    elif [ ! -e "$folder/build.ninja" ]; then
        options=(-DTCPSAGA_TESTS=OFF)
    fi
    cmake --preset "$preset" --log-level=WARNING "${options[@]}" >/dev/null
    touch "$folder/build.ninja" # also when CMake found nothing to change in it
fi
# Also when CMake runs again, or there is nothing to do, ninja --quiet has something to say.
ninja -C "$folder" --quiet "$@" | sed -u '/^-- /d; /^ninja: no work to do\.$/d'
