#!/bin/bash
# Installs what Debian 12 lacks to build, test or measure: dependencies.sh build|test|bench...
set -euo pipefail

build=(
    g++ cmake ninja-build pkg-config clang llvm bpftool
    libbpf-dev libelf-dev zlib1g-dev libcli11-dev nlohmann-json3-dev libfmt-dev libssl-dev
    libzstd-dev libxxhash-dev libnetfilter-conntrack-dev libncurses-dev prometheus-cpp-dev
    libcap-dev libsystemd-dev libnats-dev linux-libc-dev python3
)
test=(
    libgtest-dev libgmock-dev libvalijson-dev python3-jsonschema python3-yaml
    clang-format clang-tidy-16 clang-16 libclang-rt-16-dev lld-16 shellcheck # 16: see .clang-tidy
    libcap2-bin openssl lintian debootstrap groff-base zsh sqlite3 jq
    chromium fonts-liberation # the report's page
    liburing-dev curl nginx wrk tmux iproute2 nftables libbpf-tools
    prometheus rsyslog logrotate nats-server
    qemu-system-x86 qemu-system-common busybox-static lz4 zstd debian-archive-keyring
)
# Node from elsewhere than Debian brings an npm that Debian's conflicts with.
{ command -v node && command -v npm; } >/dev/null || build+=(nodejs npm)
bench=(
    libbenchmark-dev valgrind python3 bpftool
    libbpf-tools bpftrace bpfcc-tools # the peers
)

fail() {
    echo "dependencies: $*" >&2
    exit 1
}

wanted=()
for name in "$@"; do
    case $name in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${test[@]}") ;;
    bench) wanted+=("${bench[@]}") ;;
    *) fail "unknown set '$name' (known: build, test, bench)" ;;
    esac
done
[ ${#wanted[@]} -gt 0 ] || fail "which? build, test, bench or several"

command -v dpkg-query apt-get >/dev/null ||
    fail "this is no Debian; install the like of: ${wanted[*]}"
# dpkg-query fails for names that it has never heard of, but lists the others.
have=$(dpkg-query -Wf '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
    [[ $'\n'$have$'\n' == *$'\n'"installed $package"$'\n'* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || fail "root must install what is missing: ${missing[*]}"

log=$(mktemp)
policy=
clean_up() {
    rm -f "$log"
    [ -z "$policy" ] || rm -f "$policy"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

quietly() {
    DEBIAN_FRONTEND=noninteractive "$@" </dev/null >"$log" 2>&1
}

# The tests start daemons of their own: the packaged services stay off, now and after a reboot.
new_services=()
for service in nginx prometheus rsyslog nats-server; do
    [[ " ${missing[*]} " != *" $service "* ]] || new_services+=("$service")
done
if [ ${#new_services[@]} -gt 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    pattern=$(printf '%s*|' "${new_services[@]}")
    # shellcheck disable=SC2016  # $1 is the policy's own: the service that would start
    printf '#!/bin/sh\ncase $1 in %s) exit 101 ;; esac\n' "${pattern%|}" >$policy
    chmod +x $policy
fi

echo "dependencies: installing ${missing[*]}" >&2
apt=(apt-get -qq -o DPkg::Lock::Timeout=300 -o APT::Update::Error-Mode=any)
reached=1
quietly "${apt[@]}" update || reached= # one source of several may be out of reach: try all the same
if ! quietly "${apt[@]}" install --yes --no-install-recommends "${missing[@]}"; then
    [ -n "$reached" ] || fail "the package archive cannot be reached, so these are missing: ${missing[*]}"
    cat "$log" >&2
    fail "apt-get could not install ${missing[*]}"
fi
for service in "${new_services[@]}"; do
    quietly invoke-rc.d "$service" stop || true # where another policy let it start
    quietly update-rc.d "$service" disable || true
done
