#!/bin/sh
# What the tests of deploy/ and of several gateways use: promtool, nginx, Caddy, systemd, SQLite, Redis. What is installed, else Debian's.
set -eu
present() { for name in promtool nginx caddy systemd-analyze openssl sqlite3 ip curl redis-server; do command -v "$name" >/dev/null 2>&1 || return 1; done; }
if present; then exit 0; fi
echo "installing Prometheus, nginx, Caddy and Redis for the tests"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends prometheus nginx-light caddy systemd openssl sqlite3 iproute2 curl redis-server >/dev/null
present || { echo "promtool, nginx, caddy, systemd-analyze, sqlite3, ip, curl or redis-server is missing: install them, then run again" >&2; exit 1; }
