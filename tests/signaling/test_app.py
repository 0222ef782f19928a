"""What all requests have in common: probes, errors, headers, keys, the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer

from rtc_stt.errors import Unavailable
from signaling.app import create_app
from signaling.calls import Health
from signaling.keys import DRAIN
from signaling.page import About
from signaling.settings import Access, Server, WebRtc
from tests.signaling.front import KEY, FakeHost, Gateway, error_of, start
from tests.signaling.service import FakeTranscriber


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """Without keys."""
    made = await start(mode="demo")
    yield made
    await made.client.close()


@pytest.fixture
async def locked() -> AsyncIterator[Gateway]:
    """With a key."""
    made = await start(api_keys=(KEY,))
    yield made
    await made.client.close()


async def test_it_is_alive_and_ready(gateway):
    assert (await (await gateway.client.get("/v1/health")).json())["ok"] is True
    ready = await gateway.client.get("/v1/ready")
    assert (ready.status, await ready.json()) == (200, {"ok": True, "sessions": 0, "load": "normal"})


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (Health(ready=False, sessions=1, load="normal", draining=True), "shutting down"),
        (
            Health(ready=False, sessions=1, load="normal", troubles=("it hangs",)),
            "it hangs",
        ),
    ],
)
async def test_while_draining_or_broken_it_is_alive_and_not_ready(gateway, told, word):
    gateway.host.told = told
    assert (await gateway.client.get("/v1/health")).status == 200
    refused = await gateway.client.get("/v1/ready")
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    error = await error_of(refused)
    assert error["type"] == "unavailable"
    assert word in error["message"]


async def test_without_its_accurate_tier_it_is_ready_and_degraded(gateway):
    gateway.host.told = Health(ready=True, sessions=3, load="refuse", troubles=("the accurate model hangs",))
    ready = await gateway.client.get("/v1/ready")
    assert (ready.status, await ready.json()) == (
        200,
        {"ok": True, "sessions": 3, "load": "refuse", "degraded": ["the accurate model hangs"]},
    )


async def test_at_its_end_it_drains_the_host():
    host = FakeHost()
    about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
    server = TestServer(create_app(host, Server(drain_seconds=7), Access(), WebRtc(), about))
    await server.start_server()
    await server.close()
    assert host.drained_for == [7]


async def test_recordings_and_sessions_end_side_by_side():
    host, transcriber = FakeHost(), FakeTranscriber()
    transcriber.gate.clear()
    about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
    app = create_app(host, Server(), Access(), WebRtc(), about, transcriber=transcriber)
    client = TestClient(TestServer(app))
    await client.start_server()
    form = FormData()
    form.add_field("audio", b"RIFF", filename="a.wav")
    asking = asyncio.create_task(client.post("/v1/transcribe", data=form))
    while not transcriber.asked:
        await asyncio.sleep(0.002)
    assert (await (await client.get("/v1/ready")).json())["requests"] == 1
    draining = asyncio.create_task(app[DRAIN](5))
    while not host.drained_for:
        await asyncio.sleep(0.002)
    assert not draining.done()
    transcriber.gate.set()
    assert (await asking).status == 200
    await draining
    assert transcriber.drained == 1
    await client.close()


async def test_without_a_transcriber_there_is_no_such_endpoint(gateway):
    assert (await gateway.client.post("/v1/transcribe")).status == 404
    document = await (await gateway.client.get("/openapi.json")).json()
    assert "/v1/transcribe" not in document["paths"]
    assert "/v1/tokens" in document["paths"]


async def test_every_response_has_an_id_and_security_headers(gateway):
    ids = set()
    for path in ("/", "/v1/health", "/nowhere", "/web/about.json", "/metrics"):
        response = await gateway.client.get(path)
        ids.add(response.headers["X-Req-Id"])
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert "Set-Cookie" not in response.headers
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("PUT", "/whip", 405),
        ("DELETE", "/whip/none", 404),
        ("GET", "/web/../app.py", 404),
    ],
)
async def test_what_is_not_there_is_told_in_the_contracts_form(gateway, method, path, status):
    response = await gateway.client.request(method, path)
    assert response.status == status
    await error_of(response)


async def test_a_mistake_of_ours_is_told_without_its_details(gateway, caplog):
    gateway.host.fails = RuntimeError("secret")
    response = await gateway.offer()
    assert response.status == 500
    assert "secret" not in (await error_of(response))["message"]
    assert "failed" in caplog.text
    gateway.host.fails = Unavailable("not now")


@pytest.mark.parametrize(
    "path", ["/", "/web/style.css", "/web/js/main.js", "/web/about.json", "/v1/health", "/v1/ready"]
)
async def test_the_page_and_the_probes_need_no_key(locked, path):
    assert (await locked.client.get(path)).status == 200


ROUTES = [
    "POST /whip",
    "PATCH /whip/x",
    "DELETE /whip/x",
    "GET /whip/x",
    "POST /api/offer",
    "PATCH /api/offer",
    "GET /metrics",
    "POST /v1/tokens",
    "GET /v1/ice-servers",
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic x"])
async def test_all_else_needs_one(locked, route, authorization):
    method, path = route.split()
    headers = {"Content-Type": "application/sdp"}
    if authorization:
        headers["Authorization"] = authorization
    response = await locked.client.request(method, path, headers=headers)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (await error_of(response))["type"] == "unauthorized"
    assert locked.refused("key") == 1


async def test_a_key_that_is_no_text_is_a_wrong_key(locked):
    reader, writer = await asyncio.open_connection(locked.client.host, locked.client.port)
    head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    writer.write(head + b"Authorization: Bearer \xff\xfe\r\n\r\n")
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert status.split()[1] == b"401"


async def test_the_right_key_opens(locked):
    headers = {"Authorization": f"Bearer {KEY}"}
    assert (await locked.client.get("/metrics", headers=headers)).status == 200
    assert (await locked.offer(**headers)).status == 201


async def test_a_key_in_the_query_is_refused(locked):
    response = await locked.client.post(
        f"/whip?access_token={KEY}", data="v=0", headers={"Content-Type": "application/sdp"}
    )
    assert response.status == 401
    assert "never a key" in (await error_of(response))["message"]


async def test_the_page_learns_about_the_models_and_whether_it_needs_a_key(gateway, locked):
    about = await (await gateway.client.get("/web/about.json")).json()
    assert (about["fast"], about["accurate"], about["languages"], about["requires_key"]) == (
        "tiny",
        None,
        ["en"],
        False,
    )
    assert (await (await locked.client.get("/web/about.json")).json())["requires_key"] is True


async def test_the_samples_of_the_page_are_there(gateway):
    about = await (await gateway.client.get("/web/about.json")).json()
    assert about["samples"]
    for sample in about["samples"]:
        names = [value for value in sample.values() if str(value).endswith(".wav")]
        for name in names:
            response = await gateway.client.get(f"/web/samples/{str(name).rsplit('/', 1)[-1]}")
            assert response.status == 200
