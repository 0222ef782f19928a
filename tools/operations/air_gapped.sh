#!/bin/sh
# docs/operate/air-gapped.md as it is: packages and our wheel are fetched and packed, then installed into a new venv on a machine
# without a network, which then transcribes a recording. About a minute; needs root for the second half (unshare --net).
#
#   tools/operations/air_gapped.sh [PYTHON]
set -eu
python=${1:-python3.11}
checkout=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$checkout"
"$python" -m venv "$folder/packer"
"$folder/packer/bin/pip" download --quiet --no-deps --dest "$folder/wheels" --requirement deploy/docker/requirements.txt
# Built from a copy: a build leaves its traces where it is done.
mkdir "$folder/source"
git ls-files -z pyproject.toml README.md LICENSE rtc_stt signaling web_demo | xargs -0 cp --parents -t "$folder/source"
"$folder/packer/bin/pip" wheel --quiet --no-deps --wheel-dir "$folder/wheels" "$folder/source"
echo "packed: $(ls "$folder/wheels" | wc -l) wheels, $(du -sm "$folder/wheels" | cut -f 1) MB"
unshare --net sh -eu -c '
    ip link set lo up
    export PIP_CONFIG_FILE=/dev/null
    "$2" -m venv "$1/venv"
    "$1/venv/bin/pip" install --quiet --no-index --find-links "$1/wheels" --no-deps --requirement deploy/docker/requirements.txt
    "$1/venv/bin/pip" install --quiet --no-index --find-links "$1/wheels" --no-deps rtc-stt
    echo "installed: $(du -sm "$1/venv" | cut -f 1) MB"
    sample=$PWD/web_demo/samples/booking.wav
    cd /
    "$1/venv/bin/rtc-stt" doctor --demo
    "$1/venv/bin/rtc-stt" primary --demo --port 8081 &
    server=$!
    curl -s --retry 30 --retry-connrefused --retry-delay 1 -o /dev/null http://127.0.0.1:8081/v1/ready
    curl -sf -F "audio=@$sample" -F response_format=text http://127.0.0.1:8081/v1/transcribe
    kill $server
    wait $server
' sh "$folder" "$python"
