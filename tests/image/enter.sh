#!/bin/sh
# Starts a command in an image's unpacked files as an engine would: process 1 in namespaces of its own, the image's user
# without any capability, a root that is read-only. To write to it has /tmp, /dev/shm and /data.
#
#   unshare --mount --pid --net --ipc --fork enter.sh ROOT DATA UID WORKDIR [NAME=VALUE...] COMMAND...
set -eu
root=$1 data=$2 user=$3 workdir=$4
shift 4

ip link set lo up
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777,size=11g tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
mount -o remount,bind,ro "$root"
cd "$root"
exec chroot . /usr/bin/env -i /usr/bin/setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all /usr/bin/env -C "$workdir" "$@"
