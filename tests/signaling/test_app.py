"""The gateway over HTTP, without a peer: who is let in, and what is said to the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import Tier
from rtc_stt.load import Step
from rtc_stt.session import Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad
from rtc_stt.vad import VadBatcher
from signaling.app import create_app
from signaling.keys import REGISTRY
from signaling.metrics import Metrics
from signaling.page import About
from signaling.sdp import MAX_OFFER_BYTES
from signaling.settings import Server

KEY = "a-key-of-sixteen-chars"
SDP = {"Content-Type": "application/sdp"}


async def client(server: Server, metrics: Metrics | None = None) -> TestClient:
    metrics = metrics or Metrics()
    pool = DecodePool({Tier.FAST: ScriptedEngine([])}, concurrency=1, instrument=metrics)
    speech = Speech(VadBatcher(ScriptedVad([])), pool, instrument=metrics)
    about = About(mode="demo", fast="tiny", accurate=None, languages=("en",))
    made = TestClient(TestServer(create_app(speech, server, about, metrics)))
    await made.start_server()
    return made


@pytest.fixture
async def gateway() -> AsyncIterator[TestClient]:
    """Without keys."""
    made = await client(Server())
    yield made
    await made.close()


@pytest.fixture
async def locked() -> AsyncIterator[TestClient]:
    """With a key."""
    made = await client(Server(api_keys=(KEY,)))
    yield made
    await made.close()


async def error_of(response) -> dict[str, str]:
    body = (await response.json())["error"]
    assert set(body) == {"type", "message", "request_id"}
    assert body["request_id"] == response.headers["X-Req-Id"]
    return body


async def test_it_is_alive_and_ready(gateway):
    assert (await (await gateway.get("/v1/health")).json())["ok"] is True
    ready = await gateway.get("/v1/ready")
    assert (ready.status, await ready.json()) == (200, {"ok": True, "sessions": 0, "load": "normal"})


async def test_while_draining_it_is_alive_and_not_ready(gateway):
    await gateway.app[REGISTRY].drain(0)
    assert (await gateway.get("/v1/health")).status == 200
    for refused in (await gateway.get("/v1/ready"), await gateway.post("/whip", data="v=0", headers=SDP)):
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert (await error_of(refused))["type"] == "unavailable"


class Trouble:
    """What a pool says of itself, as told."""

    has_accurate_tier = False
    step = Step.NORMAL
    accepts_sessions = is_ready = True
    troubles: tuple[str, ...] = ()

    def __init__(self, **told: object) -> None:
        self.__dict__.update(told)


async def offer_to(gateway: TestClient, monkeypatch: pytest.MonkeyPatch, **trouble: object):
    registry = gateway.app[REGISTRY]
    monkeypatch.setattr(type(registry), "pool", Trouble(**trouble))
    return await gateway.post("/whip", data="v=0", headers=SDP)


async def test_an_overloaded_server_refuses_at_the_door_and_stays_ready(gateway, monkeypatch):
    refused = await offer_to(gateway, monkeypatch, step=Step.REFUSE, accepts_sessions=False)
    assert refused.status == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert "as much to do" in (await error_of(refused))["message"]
    ready = await gateway.get("/v1/ready")
    assert (ready.status, (await ready.json())["load"]) == (200, "refuse")


async def test_without_its_fast_tier_a_server_is_not_ready_and_says_why(gateway, monkeypatch):
    refused = await offer_to(gateway, monkeypatch, is_ready=False, troubles=("the fast model hangs",))
    for response in (refused, await gateway.get("/v1/ready")):
        assert response.status == 503
        assert "the fast model hangs" in (await error_of(response))["message"]


async def test_without_its_accurate_tier_it_is_ready_and_degraded(gateway, monkeypatch):
    answered = await offer_to(gateway, monkeypatch, troubles=["the accurate model hangs"])
    assert answered.status == 422, "let in, as far as a nonsense offer gets"
    ready = await gateway.get("/v1/ready")
    assert ready.status == 200
    assert (await ready.json())["degraded"] == ["the accurate model hangs"]


@pytest.mark.parametrize(
    ("reason", "server", "trouble"),
    [
        ("load", {}, {"accepts_sessions": False}),
        ("unhealthy", {}, {"is_ready": False}),
        ("draining", {}, {}),
    ],
)
async def test_who_is_turned_away_is_counted_by_reason(monkeypatch, reason, server, trouble):
    metrics = Metrics()
    made = await client(Server(**server), metrics)
    registry = made.app[REGISTRY]
    registry.draining = reason == "draining"
    assert (await offer_to(made, monkeypatch, **trouble)).status == 503
    assert f'rtc_stt_rejected_total{{reason="{reason}"}} 1.0' in (await (await made.get("/metrics")).text())
    await made.close()


async def test_every_response_has_an_id_and_security_headers(gateway):
    ids = set()
    for path in ("/", "/v1/health", "/nowhere", "/web/about.json", "/metrics"):
        response = await gateway.get(path)
        ids.add(response.headers["X-Req-Id"])
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert len(ids) == 5


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/whip", 405),
        ("DELETE", "/whip/none", 404),
        ("GET", "/web/../app.py", 404),
    ],
)
async def test_what_is_not_there_is_told_in_the_contracts_form(gateway, method, path, status):
    response = await gateway.request(method, path)
    assert response.status == status
    await error_of(response)


@pytest.mark.parametrize(
    "path", ["/", "/web/style.css", "/web/js/main.js", "/web/about.json", "/v1/health", "/v1/ready"]
)
async def test_the_page_and_the_probes_need_no_key(locked, path):
    assert (await locked.get(path)).status == 200


@pytest.mark.parametrize("route", ["POST /whip", "POST /api/offer", "DELETE /whip/x", "GET /metrics"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic x"])
async def test_all_else_needs_one(locked, route, authorization):
    method, path = route.split()
    headers = {"Authorization": authorization} if authorization else {}
    response = await locked.request(method, path, headers=headers)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert (await error_of(response))["type"] == "unauthorized"


async def test_a_key_that_is_no_text_is_a_wrong_key(locked):
    reader, writer = await asyncio.open_connection(locked.host, locked.port)
    head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    writer.write(head + b"Authorization: Bearer \xff\xfe\r\n\r\n")
    status = await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert status.split()[1] == b"401"


async def test_the_right_key_opens(locked):
    headers = {"Authorization": f"Bearer {KEY}"}
    assert (await locked.get("/metrics", headers=headers)).status == 200
    assert (await locked.post("/whip", data="v=0", headers={**headers, **SDP})).status == 422


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"hello", SDP, 400, "bad_request"),
        (b"\xff\xfe", SDP, 400, "bad_request"),
        (b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", SDP, 422, "unprocessable"),
        (b"v=0", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"x" * (MAX_OFFER_BYTES + 1), SDP, 413, None),
    ],
)
async def test_a_wrong_whip_offer_is_refused(gateway, body, headers, status, kind):
    response = await gateway.post("/whip", data=body, headers=headers)
    assert response.status == status
    assert (await error_of(response))["type"] == (kind or "request_entity_too_large")
    assert len(gateway.app[REGISTRY]) == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("nonsense", 400),
        ("[]", 400),
        ("[" * 5_000, 400),
        (json.dumps({"type": "answer", "sdp": "v=0"}), 400),
        (json.dumps({"type": "offer"}), 400),
        (json.dumps({"type": "offer", "sdp": 7}), 400),
        (json.dumps({"type": "offer", "sdp": "v=0"}), 422),
        ('{"type":"offer","sdp":"\\ud800"}', 400),
        (json.dumps({"type": "offer", "sdp": "v=0", "pc_id": "x"}), 422),
        (json.dumps({"type": "offer", "sdp": "hello", "pc_id": "gone", "restart_pc": True}), 400),
    ],
)
async def test_a_wrong_json_offer_is_refused(gateway, body, status):
    response = await gateway.post("/api/offer", data=body, headers={"Content-Type": "application/json"})
    assert response.status == status
    await error_of(response)


async def test_a_form_of_another_page_cannot_make_an_offer(gateway):
    response = await gateway.post(
        "/api/offer", data='{"type":"offer"}', headers={"Content-Type": "text/plain"}
    )
    assert response.status == 415


async def test_whip_says_what_may_be_posted(gateway):
    response = await gateway.options("/whip")
    assert response.status == 200
    assert response.headers["Accept-Post"] == "application/sdp"


async def test_the_page_learns_about_the_models_and_whether_it_needs_a_key(gateway, locked):
    about = await (await gateway.get("/web/about.json")).json()
    assert (about["fast"], about["accurate"], about["languages"], about["requires_key"]) == (
        "tiny",
        None,
        ["en"],
        False,
    )
    assert (await (await locked.get("/web/about.json")).json())["requires_key"] is True


async def test_the_samples_of_the_page_are_there(gateway):
    about = await (await gateway.get("/web/about.json")).json()
    assert about["samples"]
    for sample in about["samples"]:
        names = [value for value in sample.values() if str(value).endswith(".wav")]
        for name in names:
            response = await gateway.get(f"/web/samples/{str(name).rsplit('/', 1)[-1]}")
            assert response.status == 200
