#!/bin/sh
# Helm's own library for the checks of the chart, into build/helm: of its version and digest, and apart from .venv.
set -eu
here=$(dirname "$0")/..
wanted=$here/tools/chart/requirements.txt
built=$here/build/helm
if cmp -s "$wanted" "$built/requirements.txt" 2>/dev/null; then exit 0; fi
echo "fetching Helm's library for the checks of the chart (75 MB)"
rm -rf "$built"
"$here/.venv/bin/python" -m pip install --quiet --no-deps --require-hashes --target "$built" --requirement "$wanted"
# The library is in there three times.
rm -f "$built"/helm_python/lib/libhelm_c.so.*
cp "$wanted" "$built/requirements.txt"
