#!/bin/sh
# WebRTC clients and a TURN server of other makers, for the end-to-end tests: what is installed, else Debian's.
set -eu
gstreamer() {
    /usr/bin/python3 - >/dev/null 2>&1 <<'PYTHON'
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
assert all(map(Gst.ElementFactory.find, ("webrtcbin", "nicesrc", "opusenc", "rtpopuspay", "dtlsdec")))
PYTHON
}
if command -v turnserver >/dev/null 2>&1 && gstreamer; then exit 0; fi
echo "installing coturn and GStreamer for the end-to-end tests"
if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends coturn gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad gstreamer1.0-nice python3-gi gir1.2-gst-plugins-base-1.0 gir1.2-gst-plugins-bad-1.0 \
    >/dev/null
command -v turnserver >/dev/null || { echo "turnserver is missing: install coturn, then run again" >&2; exit 1; }
gstreamer || { echo "GStreamer's webrtcbin or its Python bindings are missing" >&2; exit 1; }
