#!/bin/sh
# Prometheus's promtool, for the tests of the rules: what is installed, else Debian's.
set -eu
if command -v promtool >/dev/null 2>&1; then exit 0; fi
echo "installing Prometheus for the tests of its rules"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends prometheus >/dev/null
command -v promtool >/dev/null || { echo "promtool is missing: install Prometheus, then run again" >&2; exit 1; }
