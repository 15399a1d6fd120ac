#!/bin/bash
# The package on a plain Debian 12: chroot.sh DEB. Makes a root with debootstrap (kept for the next
# time), installs the package in a copy of it with apt, and runs `tcpsaga check`, which must say what it says here.
# Root only. The packages come from where this machine's apt gets its own; 77: it cannot be reached.
set -euo pipefail
deb=$(realpath "$1")
plain=${XDG_CACHE_HOME:-$HOME/.cache}/tcpsaga/bookworm
skip() {
    echo "chroot: SKIPPED: $*" >&2
    exit 77
}
command -v debootstrap >/dev/null || skip "no debootstrap"

exec {lock}<"$(dirname "$0")"
flock $lock
root=$(mktemp -d)
clean_up() {
    for place in proc sys; do
        if mountpoint -q "$root/$place"; then umount -R "$root/$place"; fi
    done
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT
if [ ! -e "$plain/.complete" ]; then
    # shellcheck disable=SC2016  # apt's own
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
        grep -m 1 '/debian/*$') || skip "apt knows no Debian mirror"
    rm -rf --one-file-system "$plain"
    mkdir -p "$plain"
    debootstrap --variant=minbase bookworm "$plain" "$mirror" >/dev/null || skip "debootstrap failed"
    cp -r /etc/apt/apt.conf.d/. "$plain/etc/apt/apt.conf.d/" # the same way to the archive
    chroot "$plain" apt-get -qq update || skip "the archive cannot be reached"
    touch "$plain/.complete"
fi
cp "$deb" "$plain/tmp/tcpsaga.deb"
install() { # ROOT OPTION...
    DEBIAN_FRONTEND=noninteractive chroot "$1" apt-get -qq install --yes --no-install-recommends \
        -o Dpkg::Use-Pty=0 "${@:2}" /tmp/tcpsaga.deb >"$root/said" 2>&1
}
fail() {
    cat "$root/said" >&2
    echo "chroot: the package does not install" >&2
    exit 1
}
install "$plain" --simulate || fail
install "$plain" --download-only || skip "the archive cannot be reached"
# In a copy, so that what it needs is never there already.
cp -a "$plain/." "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --make-rslave "$root/sys"
install "$root" || fail
chroot "$root" dpkg --verify tcpsaga # files as packaged
there=0 here=0
chroot "$root" tcpsaga check >"$root/tmp/there" || there=$?
"$(dirname "$0")/../../build/tcpsaga" check >"$root/tmp/here" || here=$?
head -1 "$root/tmp/there"
diff "$root/tmp/here" "$root/tmp/there"
[ $there = $here ] && [ $there != 1 ]
