"""Tokens, ICE servers and pages of other origins, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from signaling.settings import WebRtc
from tests.signaling.front import FRAGMENT, KEY, OFFER, SDP, Gateway, error_of, start

BEARER = {"Authorization": f"Bearer {KEY}"}
APP = "https://app.example.org"


async def token_of(gateway: Gateway, **headers: str) -> str:
    response = await gateway.client.post("/v1/tokens", headers=headers)
    assert response.status == 201
    assert response.headers["Cache-Control"] == "no-store"
    body = await response.json()
    assert set(body) == {"token", "expires_in"}
    assert body["expires_in"] > 0
    return str(body["token"])


async def refusal(response: Any) -> tuple[int, str]:
    return response.status, (await error_of(response))["type"]


@pytest.mark.parametrize("in_query", [False, True])
async def test_a_token_opens_one_session_and_stays_good_for_it(in_query):
    gateway = await start(api_keys=(KEY,))
    token = await token_of(gateway, **BEARER)
    headers = {} if in_query else {"Authorization": f"Bearer {token}"}
    query = f"?access_token={token}" if in_query else ""

    async def offer() -> Any:
        return await gateway.client.post(f"/whip{query}", data=OFFER, headers=SDP | headers)

    made = await offer()
    assert made.status == 201
    assert await refusal(await offer()) == (401, "token_replayed")
    assert gateway.refused("token") == 1
    resource = made.headers["Location"] + query
    told = FRAGMENT | {"If-Match": made.headers["ETag"]} | headers
    assert (await gateway.client.patch(resource, data="a=end-of-candidates\r\n", headers=told)).status == 204
    assert (await gateway.client.delete(resource, headers=headers)).status == 200
    other = await gateway.offer(**BEARER)
    assert (await gateway.client.delete(other.headers["Location"] + query, headers=headers)).status == 404
    await gateway.client.close()


async def test_a_refused_offer_uses_no_token():
    gateway = await start(api_keys=(KEY,))
    headers = {"Authorization": f"Bearer {await token_of(gateway, **BEARER)}"}
    assert (await gateway.offer("v=0\r\n", **headers)).status == 422
    gateway.host.fails = RuntimeError("mistake")
    assert (await gateway.offer(**headers)).status == 500
    gateway.host.fails = None
    assert (await gateway.offer(**headers)).status == 201
    await gateway.client.close()


async def test_wrong_and_old_tokens_are_told_apart(monkeypatch):
    gateway = await start(api_keys=(KEY,))
    token = await token_of(gateway, **BEARER)
    assert await refusal(await gateway.offer(Authorization=f"Bearer {token}x")) == (401, "token_wrong")
    import time

    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1_000)
    assert await refusal(await gateway.offer(Authorization=f"Bearer {token}")) == (401, "token_expired")
    assert gateway.refused("token") == 2
    await gateway.client.close()


async def test_a_token_makes_no_tokens_and_reads_no_metrics():
    gateway = await start(api_keys=(KEY,))
    headers = {"Authorization": f"Bearer {await token_of(gateway, **BEARER)}"}
    assert (await gateway.client.post("/v1/tokens", headers=headers)).status == 401
    assert (await gateway.client.get("/metrics", headers=headers)).status == 401
    await gateway.client.close()


async def test_machines_with_one_secret_take_each_others_tokens():
    shared = {"token_secret": "a secret that is shared"}
    one = await start(api_keys=(KEY,), access=shared)
    other = await start(api_keys=(KEY,), access=shared)
    alone = await start(api_keys=(KEY,))
    headers = {"Authorization": f"Bearer {await token_of(one, **BEARER)}"}
    assert (await other.offer(**headers)).status == 201
    assert (await alone.offer(**headers)).status == 401
    for gateway in (one, other, alone):
        await gateway.client.close()


async def test_an_open_server_gives_tokens_to_whom_it_may_concern():
    gateway = await start()
    headers = {"Authorization": f"Bearer {await token_of(gateway)}"}
    assert (await gateway.offer(**headers)).status == 201
    assert await refusal(await gateway.offer(**headers)) == (401, "token_replayed")
    await gateway.client.close()


async def test_tokens_are_limited_in_rate():
    gateway = await start(api_keys=(KEY,), access={"rate_limit_burst": 2, "rate_limit_rps": 0.5})
    for _ in range(2):
        await token_of(gateway, Authorization=f"Bearer {KEY}")
    response = await gateway.client.post("/v1/tokens", headers={"Authorization": f"Bearer {KEY}"})
    assert (response.status, response.headers["Retry-After"]) == (429, "2")
    assert gateway.refused("rate") == 1
    await gateway.client.close()


@pytest.mark.parametrize(
    ("mode", "headers", "status"),
    [
        ("demo", {}, 201),
        ("demo", {"X-Forwarded-For": "127.0.0.1"}, 401),
        ("demo", {"Forwarded": "for=127.0.0.1"}, 401),
        ("demo", {"Via": "1.1 x"}, 401),
        ("demo", {"Authorization": "Bearer wrong"}, 401),
        ("demo", {"Host": "evil.example"}, 403),
        ("demo", {"Origin": "https://evil.example"}, 403),
        ("serve", {}, 401),
    ],
)
async def test_the_demos_own_page_needs_no_key_on_its_machine(mode, headers, status):
    gateway = await start(mode=mode, api_keys=(KEY,))
    response = await gateway.client.post("/v1/tokens", headers=headers)
    assert response.status == status
    if status == 201:
        token = (await response.json())["token"]
        assert (await gateway.offer(Authorization=f"Bearer {token}")).status == 201
        assert (await gateway.offer()).status == 401
    await gateway.client.close()


async def test_ice_servers_are_told_to_who_may_come_in():
    webrtc = WebRtc(ice_servers=("stun:s.example",), turn_url=("turn:t.example",), turn_secret="x")
    gateway = await start(api_keys=(KEY,), webrtc=webrtc)
    assert (await gateway.client.get("/v1/ice-servers")).status == 401
    token = await token_of(gateway, **BEARER)
    for headers in (BEARER, {"Authorization": f"Bearer {token}"}):
        response = await gateway.client.get("/v1/ice-servers", headers=headers)
        assert response.status == 200
        assert response.headers["Cache-Control"] == "no-store"
        body = await response.json()
        assert body["ttl_s"] == 3600
        assert body["iceServers"][0] == {"urls": ["stun:s.example"]}
        assert set(body["iceServers"][1]) == {"urls", "username", "credential"}
    assert (await gateway.offer(Authorization=f"Bearer {token}")).status == 201, "asking used it not up"
    await gateway.client.close()


# ── Origins ────────────────────────────────────────────────────────────

SHARED = ["/whip", "/whip/x", "/api/offer", "/v1/tokens", "/v1/ice-servers"]


@pytest.mark.parametrize("path", SHARED)
async def test_pages_of_other_origins_are_refused(path):
    gateway = await start()
    for method in ("GET", "POST", "OPTIONS"):
        response = await gateway.client.request(method, path, headers={"Origin": "https://evil.example"})
        assert await refusal(response) == (403, "forbidden")
        assert "Access-Control-Allow-Origin" not in response.headers
    assert gateway.refused("origin") == 3
    await gateway.client.close()


@pytest.mark.parametrize("path", SHARED)
async def test_allowed_pages_are_let_in(path):
    gateway = await start(access={"allowed_origins": (APP,)}, api_keys=(KEY,))
    preflight = await gateway.client.options(
        path, headers={"Origin": APP, "Access-Control-Request-Method": "POST"}
    )
    assert preflight.status == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == APP
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    for name in ("Authorization", "If-Match", "Resume-Token"):
        assert name in preflight.headers["Access-Control-Allow-Headers"]
    refused = await gateway.client.request("DELETE", path, headers={"Origin": APP})
    assert refused.headers["Access-Control-Allow-Origin"] == APP, "so that the page can read why"
    assert "Retry-After" in refused.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in refused.headers
    await gateway.client.close()


async def test_the_own_page_is_no_stranger():
    gateway = await start()
    response = await gateway.offer(Origin=f"http://127.0.0.1:{gateway.client.port}")
    assert response.status == 201
    assert "Access-Control-Allow-Origin" not in response.headers
    await gateway.client.close()


async def test_a_rebound_name_is_refused_everywhere():
    gateway = await start()
    for path in ("/", "/whip", "/metrics", "/v1/health"):
        response = await gateway.client.get(path, headers={"Host": "evil.example"})
        assert response.status == 403
    locked = await start(api_keys=(KEY,))
    assert (await locked.client.get("/v1/health", headers={"Host": "stt.example.org"})).status == 200
    for made in (gateway, locked):
        await made.client.close()


async def test_a_probe_that_names_no_host_is_answered():
    gateway = await start()
    reader, writer = await asyncio.open_connection(gateway.client.host, gateway.client.port)
    writer.write(b"GET /v1/health HTTP/1.0\r\n\r\n")
    assert b"200 OK" in await reader.readline()
    writer.close()
    await writer.wait_closed()
    await gateway.client.close()


async def test_callers_behind_a_proxy_are_told_apart_where_it_is_trusted():
    access = {"trusted_proxies": ("127.0.0.1",), "max_sessions_per_address": 1}
    gateway = await start(access=access)
    for address in ("198.51.100.1", "198.51.100.2"):
        assert (await gateway.offer(**{"X-Forwarded-For": address})).status == 201
    assert (await gateway.offer(**{"X-Forwarded-For": "198.51.100.1"})).status == 429
    await gateway.client.close()
