#!/bin/sh
# Kamailio and rtpengine for the end-to-end tests: Debian's, unpacked under build/border with what they need and
# this machine lacks. Nothing of it is installed, and no service is started.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/build/border
if [ -e "$root/ready" ]; then exit 0; fi
echo "unpacking Kamailio and rtpengine for the end-to-end tests"
rm -rf "$root"
mkdir -p "$root/archives/partial" "$root/files"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
$sudo apt-get update -qq
$sudo apt-get install -y -qq --download-only --reinstall --no-install-recommends \
    -o Dir::Cache::archives="$root/archives" -o APT::Sandbox::User=root \
    kamailio kamailio-tls-modules rtpengine-daemon >/dev/null
for package in "$root"/archives/*.deb; do dpkg-deb --extract "$package" "$root/files"; done
rm -rf "$root/archives"
touch "$root/ready"
