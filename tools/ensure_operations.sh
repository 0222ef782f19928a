#!/bin/sh
# What the tests of deploy/ use: promtool, nginx, Caddy, systemd, SQLite. What is installed, else Debian's.
set -eu
present() { for name in promtool nginx caddy systemd-analyze openssl sqlite3 ip curl; do command -v "$name" >/dev/null 2>&1 || return 1; done; }
if present; then exit 0; fi
echo "installing Prometheus, nginx and Caddy for the tests of deploy/"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends prometheus nginx-light caddy systemd openssl sqlite3 iproute2 curl >/dev/null
present || { echo "promtool, nginx, caddy, systemd-analyze, sqlite3, ip or curl is missing: install them, then run again" >&2; exit 1; }
