#!/bin/bash
# Installs what is missing, builds, runs tcpsaga: sudo scripts/run.sh [ARGS], from any folder.
# Standard output is tcpsaga's alone; signals and the exit code are its own too.
set -euo pipefail
root=$(realpath "$(dirname "$(realpath "$0")")/..")
"$root/scripts/build.sh" release tcpsaga </dev/null >&2
exec "$root/build/tcpsaga" "$@"
