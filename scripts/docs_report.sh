#!/bin/bash
# Makes docs/report.png: a minute of servers in trouble on Linux 6.12, its report, a picture of that.
# docs_report.sh RECORDING takes that recording instead.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/build.sh --tests release tcpsaga report_npm
mkdir -p build/docs
recording=${1-build/docs/shop.tsr}
[ $# -gt 0 ] || scripts/vm.py --timeout 400 6.12 -- scripts/docs_load.py build/tcpsaga "$recording"
build/tcpsaga report "$recording" -o build/docs/report.html
export TCPSAGA_NPM=$PWD/build/tests/report/npm
node scripts/docs_report.mjs build/docs/report.html docs/report.png
