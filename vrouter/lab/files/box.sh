#!/bin/sh
# PID 1 of a box: makes a root of its own over the machine's root, says that it is ready, reaps orphans.
#
#   box.sh MARKER DIRECTORY HOSTNAME [hide PATH | forget PATH | bind SOURCE PATH | set SYSCTL VALUE]...
#
# Runs in fresh mount, pid, net, uts and ipc namespaces. MARKER is only there to be found in /proc. DIRECTORY holds
# files/, laid over the root, and mnt/, an empty directory. Prints its process id as the machine sees it, then nothing.
set -eu
umask 022
directory=$2 hostname=$3
mnt=$directory/mnt

if ! mountpoint -q /; then # a chroot: pivot_root wants a root that is a mount
    mount -t tmpfs tmpfs "$mnt" # a try: would what is mounted here show in other mount namespaces?
    shared=no
    while read -r _ _ _ _ point _ tag _; do
        case $point$tag in "$mnt"shared:*) shared=yes ;; esac
    done </proc/self/mountinfo
    umount "$mnt"
    if [ $shared = yes ]; then
        echo "this chroot lies on a shared mount; enter it in a mount namespace of its own (unshare --mount)" >&2
        exit 1
    fi
    mount --rbind / "$mnt"
    mount --make-rprivate "$mnt" # else unmounting it would unmount what it shows
    exec chroot "$mnt" /bin/sh "$0" "$@"
fi

read -r pid _ </proc/self/stat # /proc is still the machine's
mount -t tmpfs -o mode=0755 tmpfs "$mnt"
cd "$mnt"
mkdir upper work root
cp -R --preserve=mode "$directory/files/." upper
mount -t overlay -o "lowerdir=/,upperdir=$mnt/upper,workdir=$mnt/work" overlay root
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
if [ -d dev/shm ]; then mount -t tmpfs -o mode=1777 tmpfs dev/shm; fi
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p .lab
pivot_root . .lab
cd / # from here on every path is the box's own, /.lab is the machine's root
mkdir -p run/lock run/sshd run/haproxy
echo "$hostname" >/proc/sys/kernel/hostname

shift 3
while [ $# -gt 0 ]; do
    case $1 in
    hide) # an empty directory, then what files/ has for it
        mkdir -p "$2"
        mount -t tmpfs -o mode=0755 tmpfs "$2"
        if [ -d "/.lab$directory/files$2" ]; then cp -R --preserve=mode "/.lab$directory/files$2/." "$2"; fi
        shift 2 ;;
    forget)
        rm -f "$2"
        shift 2 ;;
    bind)
        mkdir -p "$3"
        mount --rbind "/.lab$2" "$3"
        shift 3 ;;
    set) # absent where the kernel lacks IPv6
        if [ -e "/proc/sys/$2" ]; then echo "$3" >"/proc/sys/$2"; fi
        shift 3 ;;
    *)
        echo "box.sh: what is $1?" >&2
        exit 64 ;;
    esac
done
umount -l .lab
rmdir .lab

echo "$pid"
exec >&2
set +e
while :; do
    sleep 1000000 &
    wait
done
