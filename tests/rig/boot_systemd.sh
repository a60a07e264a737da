#!/bin/sh
# Boots this machine's systemd as process 1 of namespaces of its own, with nothing but outguard's unit in it.
#
#   boot_systemd.sh ROOT BINARY UNIT CONFIG-FOLDER
#
# To be run by `unshare --cgroup --mount --pid --uts --ipc --fork`. The network is the machine's. What it mounts ends with
# the namespace; nothing of the machine can be written from inside but the configuration's folder.
set -eu
root=$1 binary=$2 unit=$3 config=$4

mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr etc/systemd/system etc/outguard etc/ssl proc sys dev run var/lib var/log tmp old
for folder in bin sbin lib lib32 lib64; do
    [ ! -e "/usr/$folder" ] || ln -s "usr/$folder" "$folder"
done
mount --bind /usr usr
mount -o remount,ro,bind usr
mount -t tmpfs tmpfs usr/local
mkdir usr/local/bin
: >usr/local/bin/outguard
mount --bind "$binary" usr/local/bin/outguard
mount --bind "$config" etc/outguard
mount --bind /etc/ssl etc/ssl
cp "$unit" etc/systemd/system/outguard.service
cat >etc/passwd <<END
root:x:0:0:root:/:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
outguard:x:64321:64321::/nonexistent:/usr/sbin/nologin
END
printf 'root:x:0:\nnogroup:x:65534:\noutguard:x:64321:\n' >etc/group
printf 'passwd: files\ngroup: files\nhosts: files\n' >etc/nsswitch.conf
echo nameserver 127.0.0.1 >etc/resolv.conf
echo 5f0c3c1d2b7e4e0c9f6a7d8b9e0f1a2b >etc/machine-id

mount -t proc proc proc
# The kernel's settings are the machine's.
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    : >dev/$device
    mount --bind /dev/$device dev/$device
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . old
echo booting
exec /usr/bin/env -i container=other PATH=/usr/local/bin:/usr/sbin:/usr/bin \
    /bin/sh -c 'umount -l /old && exec /lib/systemd/systemd --system --unit=outguard.service'
