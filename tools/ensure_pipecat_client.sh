#!/bin/sh
# Pipecat's browser client in one file, for the end-to-end tests: build/pipecat-client/page.js.
# What npm gets for it is pinned by tests/e2e/clients/pipecat/package-lock.json; its scripts are not run.
set -eu
here=$(dirname "$0")/..
source=$here/tests/e2e/clients/pipecat
built=$here/build/pipecat-client
if [ -f "$built/page.js" ] && [ -z "$(find "$source" -newer "$built/page.js" -type f)" ]; then exit 0; fi
if ! command -v npm >/dev/null 2>&1; then
    echo "installing npm for the browser tests"
    if [ "$(id -u)" = 0 ]; then sudo=; else sudo=sudo; fi
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get update -qq
    $sudo apt-get install -y -qq --no-install-recommends npm >/dev/null
fi
mkdir -p "$built"
cp "$source"/package.json "$source"/package-lock.json "$built"
(cd "$built" && npm ci --ignore-scripts --no-audit --no-fund --silent)
cp "$source/page.js" "$built/source.js"
(cd "$built" && node_modules/.bin/esbuild source.js --bundle --format=iife --log-level=error --outfile=page.js)
