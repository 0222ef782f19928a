#!/bin/sh
# What the chart is checked with, into build/helm: Helm's own library, and the schemas of Kubernetes. By version and
# digest, and apart from .venv.
set -eu
here=$(dirname "$0")/..
wanted=$here/tools/chart/requirements.txt
built=$here/build/helm
if cmp -s "$wanted" "$built/requirements.txt" 2>/dev/null; then exit 0; fi
echo "fetching Helm's library and the schemas of Kubernetes for the checks of the chart (98 MB)"
rm -rf "$built"
"$here/.venv/bin/python" -m pip install --quiet --no-deps --no-compile --only-binary :all: --require-hashes \
    --target "$built" --requirement "$wanted"
# The library is in there three times, and most schemas are not used.
rm -f "$built"/helm_python/lib/libhelm_c.so.*
find "$built"/kubernetes_validate/kubernetes-json-schema -mindepth 1 -maxdepth 1 \
    ! -name v1.30.0-local-strict ! -name v1.37.0-local-strict -exec rm -rf {} +
cp "$wanted" "$built/requirements.txt"
