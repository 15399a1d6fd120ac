#!/bin/bash
# The benchmark: sudo bench.sh [--rounds N] [--seconds S] [--only NAME,...] [--parts NAME,...]
# [-o FILE] [--doc FILE]. Installs what is missing, builds, measures, prints Markdown tables; the
# figures as JSON are in FILE (build/bench.json). Load on loopback only, in network namespaces of its
# own, bounded in time. The table of docs/performance.md: bench.sh --doc docs/performance.md
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
[ "$(id -u)" = 0 ] || {
    echo "bench: only root may trace: sudo scripts/bench.sh" >&2
    exit 1
}
scripts/dependencies.sh build bench
scripts/build.sh release bench </dev/null >&2
exec scripts/bench.py "$@"
