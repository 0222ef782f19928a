#!/bin/sh
# Writes what compose.yaml and compose.fleet.yaml need of this machine: .env, and secrets/ with keys drawn here. What is there
# stays as it is.
# usage: deploy/prepare.sh ADDRESS   (the one under which clients reach this machine)
set -eu
umask 077
if [ "$#" != 1 ] || ! printf '%s' "$1" | grep -Eq '^[0-9a-fA-F.:]+$'; then
    echo "usage: $0 ADDRESS, such as 203.0.113.9" >&2
    exit 2
fi
address=$1
cd "$(dirname "$0")"
[ -f .env ] || sed "s/^PUBLIC_IP=.*/PUBLIC_IP=$address/" .env.example > .env

# Containers see the files alone, so the folder keeps everyone else out. They are of the group 10001 where that can be said.
mkdir -p secrets
draw() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
put() {
    [ -f "secrets/$1" ] && { cat > /dev/null; return; }
    cat > "secrets/$1.new"
    if chgrp 10001 "secrets/$1.new" 2> /dev/null; then chmod 0440 "secrets/$1.new"; else chmod 0444 "secrets/$1.new"; fi
    mv "secrets/$1.new" "secrets/$1"
}
draw | put prometheus.key
draw | put grafana.password
draw | put fallback.key
draw | put turn.secret
draw | put workers.key
draw | put redis.password
draw | put token.secret
put keys << KEYS
$(draw) name=operator
$(cat secrets/prometheus.key) name=prometheus
$(cat secrets/fallback.key) name=gateway
KEYS
put rtc-stt.env << SETTINGS
FALLBACK_API_KEY=$(cat secrets/fallback.key)
TURN_SECRET=$(cat secrets/turn.secret)
SETTINGS
put redis.conf << REDIS
requirepass $(cat secrets/redis.password)
REDIS
put fleet.env << FLEET
REDIS_URL=redis://:$(cat secrets/redis.password)@redis:6379/0
WORKERS_KEY=$(cat secrets/workers.key)
TOKEN_SECRET=$(cat secrets/token.secret)
FLEET
put turn.conf << TURN
static-auth-secret=$(cat secrets/turn.secret)
allowed-peer-ip=$address
TURN
echo "written: deploy/.env and deploy/secrets; the operator's key is in deploy/secrets/keys"
