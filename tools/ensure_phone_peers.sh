#!/bin/sh
# Telephones of other makers, for the end-to-end tests: what is installed, else Debian's.
set -eu
missing() {
    for program in sipp baresip sipsak; do
        command -v "$program" >/dev/null 2>&1 || { echo "$program"; return; }
    done
}
if [ -z "$(missing)" ]; then exit 0; fi
echo "installing sipp, baresip and sipsak for the end-to-end tests"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends sip-tester baresip-core sipsak libcap2-bin >/dev/null
if [ -n "$(missing)" ]; then echo "$(missing) is missing: install it, then run again" >&2; exit 1; fi
# sipp sends recorded RTP by a raw socket: whoever is not root needs to be allowed to.
if [ "$(id -u)" != 0 ]; then $sudo setcap cap_net_raw+ep "$(command -v sipp)"; fi
