#!/bin/sh
# A machine of its own to try docs/operate on: its systemd, a network of loopback only, and a file system whose changes are
# gone afterwards. What a network would have brought is there: the checkout as two releases below /opt, with a Python that
# has its packages. Needs root.
#
#   SECONDS_AT_MOST=100 sandbox.sh FOLDER CHECKOUT PYTHON SITE-PACKAGES
#
# runs FOLDER/run.sh there, which finds FOLDER at /run/pages. PYTHON is the folder of an installation; it may lie where
# services are not allowed to look.
set -eu
if [ "${INSIDE:-}" = "" ]; then
    tree=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
    group=$tree/rtc-stt-sandbox-$$
    mkdir "$group"
    echo 0 > "$group/cgroup.procs"
    status=0
    INSIDE=1 timeout --signal KILL "$SECONDS_AT_MOST" \
        unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child --mount-proc "$0" "$@" || status=$?
    echo 0 > "$tree/cgroup.procs"
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    exit $status
fi
folder=$1 checkout=$2 python=$3 site=$4

ip link set lo up
hostname box
mount -t tmpfs -o mode=755 tmpfs /mnt
for place in pages python site checkout dev; do mkdir "/mnt/$place"; done
mount --bind "$folder" /mnt/pages
mount --bind "$python" /mnt/python
mount --bind "$site" /mnt/site
overlay() { # overlay LOWER AT: as LOWER is; what is changed is not kept
    layer=/mnt/layers/$(echo "$2" | tr / -)
    mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" "$2"
}
overlay "$checkout" /mnt/checkout
for place in /etc /opt /root /srv /usr/local /var; do overlay "$place" "$place"; done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/pages
mount --bind /mnt/pages /run/pages
mount -t sysfs -o ro sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs -o mode=755 tmpfs /mnt/dev
for node in null zero full random urandom tty; do cp -a "/dev/$node" /mnt/dev/; done
mkdir /mnt/dev/shm /mnt/dev/pts
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /mnt/dev/pts
ln -s pts/ptmx /mnt/dev/ptmx
for link in fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
    ln -s "/proc/self/$(echo "$link" | sed 's/.*://')" "/mnt/dev/${link%%:*}"
done
mount --move /mnt/dev /dev

# As the pages have it after what they fetch.
rm -f /mnt/checkout/.venv 2>/dev/null || true
mkdir -p /mnt/checkout/.venv
mount -t tmpfs -o mode=755 tmpfs /mnt/checkout/.venv
mkdir /mnt/checkout/.venv/bin
program() { # program NAME COMMAND
    printf '#!/bin/sh\nexec %s "$@"\n' "$2" > "/mnt/checkout/.venv/bin/$1"
    chmod 755 "/mnt/checkout/.venv/bin/$1"
}
program python 'env PYTHONPATH=/opt/rtc-stt:/mnt/site LD_LIBRARY_PATH=/mnt/python/lib /mnt/python/bin/python3'
program rtc-stt '/opt/rtc-stt/.venv/bin/python -m rtc_stt'
program pip '/opt/rtc-stt/.venv/bin/python -m pip'
rm -rf /opt/rtc-stt*
for release in 0.1.0 0.2.0; do ln -s /mnt/checkout "/opt/rtc-stt-$release"; done

rm -f /etc/systemd/system/*.wants/* /etc/systemd/system/*.service
for unit in binfmt modules-load remount-fs sysctl tmpfiles-setup-dev udevd update-utmp; do # the real machine's business
    ln -sf /dev/null "/etc/systemd/system/systemd-$unit.service"
done
cat > /etc/systemd/system/pages.service <<'UNIT'
[Unit]
After=basic.target
Requires=basic.target
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
Environment=HOME=/root
WorkingDirectory=/root
ExecStart=/bin/bash /run/pages/run.sh
UNIT
cd /
exec env -i container=rtc-stt PATH="$PATH" /lib/systemd/systemd --unit=pages.service --show-status=false --log-level=warning
