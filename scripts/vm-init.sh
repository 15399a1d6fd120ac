#!/bin/busybox sh
# PID 1 of a guest started by vm.py. Takes the host's root over virtiofs, read-only, with memory
# over the places that programs write to; runs $scratch/command there, leaves its exit status in
# $scratch/status and stops the machine. Runs from the initramfs, with busybox only.
# shellcheck shell=dash disable=SC2154  # $scratch and $modules come from the kernel's command line
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1

# modules=none on the command line: as a kernel that has none of them.
[ "$modules" = none ] && : >/modules/order
while read -r module; do
    option=
    [ "$module" = dummy ] && option=numdummies=0 # else it makes a dummy0 at once
    insmod "/modules/$module.ko" $option
done </modules/order

# One superblock, mounted twice: writable at /host, and as the root, where only the bind is
# read-only (so that folders of it can be bound writable below).
mount -t virtiofs hostroot /host || { echo "vm-init: no host root"; poweroff -f; }
mount --bind /host /root
mount -o remount,ro,bind /root
cd /root || poweroff -f

# What is written here stays in the guest. Where overlayfs is missing (kernels without modules)
# all of it is read-only but the places where daemons write.
mount -t tmpfs -o mode=755 layer /layer
for place in etc var root home; do
    mkdir -p /layer/$place /layer/.$place
    mount -t overlay -o "lowerdir=/host/$place,upperdir=/layer/$place,workdir=/layer/.$place" \
        overlay $place 2>/dev/null
done
if ! grep -q ' /root/var overlay ' /proc/mounts; then
    for place in var/tmp var/log/nginx var/lib/nginx; do
        [ -d $place ] && mount -t tmpfs -o mode=1777 tmp $place
    done
fi
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=755 run run
mkdir -p run/lock run/netns run/vm
mount --bind "/host$scratch" run/vm
# Where libbpf and others look for the kernel's configuration.
[ -f run/vm/config ] && mount -t tmpfs -o mode=755 boot boot && cp run/vm/config "boot/config-$(uname -r)"

mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t debugfs debug sys/kernel/debug
mount -t tracefs trace sys/kernel/tracing
mount -t bpf bpf sys/fs/bpf
mount -t cgroup2 cgroup sys/fs/cgroup

# The host's folders to write to; under /tmp and the like their mount points do not exist yet.
while IFS= read -r folder; do
    mkdir -p ".$folder"
    mount --bind "/host$folder" ".$folder" || echo "vm-init: cannot mount $folder"
done <run/vm/folders

hostname vm
ip link set lo up

# The root becomes the mount namespace's own, for nsenter and `ip netns exec` to land in.
# This shell keeps the initramfs as its root: its commands below are still busybox's.
mount --move . /

# Pipes, not files: what opens /dev/stderr must append to the stream, not truncate it.
mkfifo /out /err
cat /out >run/vm/stdout & out=$!
cat /err >run/vm/stderr & err=$!
/bin/env -i /bin/chroot . /bin/sh /run/vm/command >/out 2>/err
status=$?
# What is in the pipes is drained; a daemon that holds them open is waited for 1 s and no longer.
n=0
while [ $n -lt 100 ] && { kill -0 $out || kill -0 $err; } 2>/dev/null; do
    usleep 10000
    n=$((n + 1))
done
sync
echo $status >run/vm/status.new
mv run/vm/status.new run/vm/status
poweroff -f
