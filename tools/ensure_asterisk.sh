#!/bin/sh
# Asterisk for the end-to-end tests: what $ASTERISK names, else Debian's, unpacked under build/asterisk. Debian 12 has
# none, so it is taken from unstable, with its own C library, and nothing of it is installed.
set -eu
cd "$(dirname "$0")/.."
root=$PWD/build/asterisk
if [ -n "${ASTERISK:-}" ] || [ -e "$root/ready" ]; then exit 0; fi
echo "unpacking Asterisk for the end-to-end tests"
rm -rf "$root"
mkdir -p "$root/apt/lists/partial" "$root/apt/archives/partial" "$root/apt/etc/preferences.d" "$root/files"
touch "$root/apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main" \
    > "$root/apt/etc/sources.list"
own() {
    apt-get -qq -o Dir::State="$root/apt" -o Dir::State::status="$root/apt/status" -o Dir::Cache="$root/apt" \
        -o Dir::Etc="$root/apt/etc" -o APT::Install-Recommends=false -o APT::Sandbox::User= \
        -o Debug::NoLocking=true "$@" >/dev/null
}
own update
own -y --download-only install asterisk
for package in "$root"/apt/archives/*.deb; do dpkg-deb --extract "$package" "$root/files"; done
rm -rf "$root/apt"
for folder in lib lib64; do ln -s "usr/$folder" "$root/files/$folder"; done
touch "$root/ready"
