"""``/v1/realtime``: who may begin a session, in which words, and over what."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from rtc_stt.commands import Configure
from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import Tier
from rtc_stt.session import Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad
from rtc_stt.vad import VadBatcher
from signaling.app import create_app
from signaling.dialect_socket import MAX_MESSAGE_BYTES
from signaling.dialects.dialect import Ask
from signaling.dialects.openai.realtime import Realtime
from signaling.metrics import Metrics
from signaling.openai_routes import CALLS, KEY_PROTOCOL, SECRETS
from signaling.page import About
from signaling.registry import Registry
from signaling.sdp import MAX_OFFER_BYTES
from signaling.settings import Access, Server, WebRtc
from tests.signaling import front
from tests.signaling.front import ANSWER, KEY, OFFER, OTHER_KEY
from tests.signaling.test_openai_recordings import error_of

BEARER = {"Authorization": f"Bearer {KEY}"}
TRANSCRIPTION = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
LIVE = "/v1/realtime?intent=transcription"


class Gateway:
    """With WebSockets, and a script for models."""

    def __init__(self, **server: Any) -> None:
        self.metrics = Metrics()
        self.speech = Speech(
            VadBatcher(ScriptedVad([])),
            DecodePool({Tier.FAST: ScriptedEngine([])}, concurrency=1, instrument=self.metrics),
            instrument=self.metrics,
        )
        settings, webrtc = Server(**server), WebRtc()
        self.registry = Registry(self.speech, settings, webrtc)
        about = About(mode="serve", fast="tiny", accurate=None, languages=("en",))
        app = create_app(
            self.registry, settings, Access(rate_limit_burst=1000), webrtc, about, self.metrics,
            streams=self.registry,
        )  # fmt: skip
        self.client = TestClient(TestServer(app))

    async def __aenter__(self) -> Gateway:
        await self.client.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.speech.aclose()


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway(api_keys=(KEY, OTHER_KEY)) as made:
        yield made


async def hear(ws: aiohttp.ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(5):
        return await ws.receive_json()


async def make_secret(client: TestClient, body: Any = None, **headers: str) -> Any:
    response = await client.post(SECRETS, json=body or {}, headers=BEARER | headers)
    assert response.status == 200, await response.text()
    return await response.json()


# ── WebSocket ──


async def test_a_session_over_a_websocket(gateway):
    async with gateway.client.ws_connect(LIVE, headers=BEARER) as ws:
        assert (await hear(ws))["type"] == "session.created"
        await ws.send_json({"type": "session.update", "session": TRANSCRIPTION, "event_id": "e"})
        assert (await hear(ws))["session"]["audio"]["input"]["turn_detection"] is None
        await ws.send_json({"type": "input_audio_buffer.commit", "event_id": "c"})
        told = await hear(ws)
        assert (told["error"]["code"], told["error"]["event_id"]) == ("input_audio_buffer_commit_empty", "c")
        await ws.send_json({"type": "input_audio_buffer.append", "audio": "A" * 64_000})  # one second
        await ws.send_json({"type": "input_audio_buffer.commit"})
        kinds = [(await hear(ws))["type"].rpartition(".")[2] for _ in range(4)]
        assert kinds == ["committed", "added", "done", "completed"]


async def test_a_page_shows_its_key_or_secret_as_a_subprotocol(gateway, caplog):
    secret = await make_secret(gateway.client, {"session": TRANSCRIPTION})
    for shown, url in ((KEY, LIVE), (secret["value"], "/v1/realtime")):
        protocols = ("realtime", KEY_PROTOCOL + shown)
        with caplog.at_level(logging.DEBUG):
            async with gateway.client.ws_connect(url, protocols=protocols) as ws:
                created = await hear(ws)
                assert ws.protocol == "realtime"
        assert shown not in caplog.text
    assert created["session"]["audio"]["input"]["turn_detection"] is None


async def test_a_page_of_the_former_generation(gateway):
    protocols = ("realtime", KEY_PROTOCOL + KEY, "openai-beta.realtime-v1")
    async with gateway.client.ws_connect(LIVE, protocols=protocols) as ws:
        assert (await hear(ws))["type"] == "transcription_session.created"
    headers = BEARER | {"OpenAI-Beta": "realtime=v1"}
    async with gateway.client.ws_connect(LIVE, headers=headers) as ws:
        assert (await hear(ws))["type"] == "transcription_session.created"


@pytest.mark.parametrize(
    ("url", "headers", "status", "word"),
    [
        (LIVE, {}, 401, "key"),
        (LIVE, {"Authorization": "Bearer nobody"}, 401, "key"),
        (LIVE, {"Sec-WebSocket-Protocol": f"realtime, {KEY_PROTOCOL}nobody"}, 401, "key"),
        (LIVE, {"Sec-WebSocket-Protocol": KEY_PROTOCOL + KEY}, 400, "subprotocol"),
        (LIVE, BEARER | {"Origin": "https://evil.example"}, 403, "origin"),
        ("/v1/realtime?model=gpt-realtime", BEARER, 400, "transcribes"),
        ("/v1/realtime", BEARER, 400, "intent=transcription"),
    ],
)  # fmt: skip
async def test_who_may_not_begin_one_is_told_before_the_upgrade(gateway, url, headers, status, word):
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    response = await gateway.client.get(url, headers=upgrade | headers)
    assert response.status == status
    told = await error_of(response)
    assert word in told["message"]
    assert KEY not in told["message"]


async def test_a_request_that_is_no_websocket(gateway):
    response = await gateway.client.get(LIVE, headers=BEARER)
    assert (response.status, "WebSocket" in (await error_of(response))["message"]) == (400, True)


async def test_a_secret_begins_one_session(gateway):
    secret = (await make_secret(gateway.client))["value"]
    headers = {"Authorization": f"Bearer {secret}"}
    async with gateway.client.ws_connect("/v1/realtime", headers=headers) as ws:
        await hear(ws)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await gateway.client.ws_connect("/v1/realtime", headers=headers)
    assert refused.value.status == 401


async def test_a_language_that_the_models_do_not_know_is_refused_at_the_door(gateway):
    session = {"type": "transcription", "audio": {"input": {"transcription": {"language": "xx"}}}}
    response = await gateway.client.post(SECRETS, json={"session": session}, headers=BEARER)
    assert (response.status, "'xx'" in (await error_of(response))["message"]) == (400, True)


async def test_what_is_wrong_with_the_first_settings_is_told_after_the_session_is(gateway, monkeypatch):
    asked = Configure({"language": "xx"})
    monkeypatch.setattr(Realtime, "begin", lambda _: (Ask(asked),))
    async with gateway.client.ws_connect(LIVE, headers=BEARER) as ws:
        assert (await hear(ws))["type"] == "session.created"
        assert "language" in (await hear(ws))["error"]["message"]


async def test_a_message_that_is_too_long_ends_the_connection(gateway):
    async with gateway.client.ws_connect(LIVE, headers=BEARER) as ws:
        await hear(ws)
        await ws.send_str("x" * (MAX_MESSAGE_BYTES + 2))
        async with asyncio.timeout(5):
            while (message := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        assert message.data == 1009


# ── Secrets ──


async def test_a_secret_tells_what_it_is_for():
    gateway = await front.start(api_keys=(KEY,))
    told = await make_secret(
        gateway.client,
        {"session": TRANSCRIPTION, "expires_after": {"anchor": "created_at", "seconds": 600}},
    )
    assert told["value"].startswith("st_")
    assert told["session"]["type"] == "transcription"
    assert told["session"]["audio"]["input"]["turn_detection"] is None
    assert told["expires_at"] > 1_700_000_000
    await gateway.client.close()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"session": {"type": "realtime", "model": "gpt-realtime"}}, "transcribes"),
        ({"session": {}}, "transcription"),
        ({"session": 1}, "object"),
        ({"ttl": 1}, "ttl"),
        ({"expires_after": {"seconds": 1}}, "seconds"),
        ({"expires_after": {"anchor": "used_at"}}, "anchor"),
        ([], "object"),
        ({"session": TRANSCRIPTION | {"include": ["item.input_audio_transcription.logprobs"] * 90}}, "bytes"),
    ],
)  # fmt: skip
async def test_a_secret_for_what_is_not_offered_is_refused(body, word):
    gateway = await front.start(api_keys=(KEY,))
    response = await gateway.client.post(SECRETS, json=body, headers=BEARER)
    assert response.status == 400
    assert word in (await error_of(response))["message"]
    await gateway.client.close()


async def test_secrets_are_made_with_a_key():
    gateway = await front.start(api_keys=(KEY,))
    assert (await gateway.client.post(SECRETS)).status == 401
    secret = (await make_secret(gateway.client))["value"]
    response = await gateway.client.post(SECRETS, headers={"Authorization": f"Bearer {secret}"})
    assert response.status == 401
    response = await gateway.client.post(SECRETS, data="{}", headers=BEARER | {"Content-Type": "text/plain"})
    assert response.status == 415
    assert (await gateway.client.post(SECRETS, data="{", headers=BEARER)).status == 415
    response = await gateway.client.post(
        SECRETS, data="{", headers=BEARER | {"Content-Type": "application/json"}
    )
    assert response.status == 400
    await gateway.client.close()


# ── Calls ──


async def test_an_offer_with_a_secret_is_answered():
    gateway = await front.start(api_keys=(KEY,))
    secret = (await make_secret(gateway.client, {"session": TRANSCRIPTION}))["value"]
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/sdp"}
    response = await gateway.client.post(CALLS, data=OFFER, headers=headers)
    assert response.status == 201
    assert response.headers["Location"] == f"{CALLS}/peer-1"
    assert response.content_type == "application/sdp"
    assert (await response.text()).startswith(ANSWER[:20])
    [call] = gateway.host.calls
    assert json.loads(call.beginning.text) == TRANSCRIPTION
    response = await gateway.client.post(CALLS, data=OFFER, headers=headers)
    assert (response.status, (await error_of(response))["code"]) == (401, "token_replayed")
    await gateway.client.close()


async def test_an_offer_may_come_in_a_form_with_the_session():
    gateway = await front.start(api_keys=(KEY,))
    data = aiohttp.FormData()
    data.add_field("sdp", OFFER, content_type="application/sdp")
    data.add_field("session", json.dumps(TRANSCRIPTION), content_type="application/json")
    response = await gateway.client.post(CALLS, data=data, headers=BEARER)
    assert response.status == 201
    assert json.loads(gateway.host.calls[0].beginning.text) == TRANSCRIPTION
    hangup = f"{response.headers['Location']}/hangup"
    assert (await gateway.client.post(hangup, headers=BEARER)).status == 200
    assert gateway.host.ended == ["peer-1"]
    assert (await gateway.client.post(f"{CALLS}/nobody/hangup", headers=BEARER)).status == 404
    await gateway.client.close()


async def test_an_offer_may_say_in_the_address_what_it_is_for():
    gateway = await front.start(api_keys=(KEY,))
    headers = BEARER | {"Content-Type": "application/sdp"}
    response = await gateway.client.post(CALLS + "?intent=transcription", data=OFFER, headers=headers)
    assert response.status == 201
    assert gateway.host.calls[0].beginning.text == ""
    response = await gateway.client.post(CALLS, data=OFFER, headers=headers)
    assert (response.status, "transcribes" in (await error_of(response))["message"]) == (400, True)
    await gateway.client.close()


def parts(**fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in fields.items():
        data.add_field(name, value, content_type="text/plain")
    return data


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        (OFFER, {}, 401),
        (OFFER, BEARER | {"Content-Type": "text/plain"}, 415),
        ("x" * (MAX_OFFER_BYTES + 1), BEARER | {"Content-Type": "application/sdp"}, 413),
        (parts(session="{}"), BEARER, 400),
        (parts(sdp=OFFER, session="{"), BEARER, 400),
        (parts(sdp=OFFER, session='{"type":"realtime"}'), BEARER, 400),
        (parts(sdp=OFFER, session='{"type":"transcription","voice":"x"}'), BEARER, 400),
        (parts(sdp=OFFER, key=KEY), BEARER, 400),
        (b"--x", BEARER | {"Content-Type": "multipart/form-data; boundary=x"}, 400),
        (OFFER, {"Authorization": "Bearer st_x.AAAA", "Content-Type": "application/sdp"}, 401),
    ],
    ids=range(10),
)  # fmt: skip
async def test_what_is_no_call_is_refused(data, headers, status):
    gateway = await front.start(api_keys=(KEY,))
    response = await gateway.client.post(CALLS, data=data, headers=headers)
    assert response.status == status
    assert KEY not in (await error_of(response))["message"]
    assert gateway.host.calls == []
    await gateway.client.close()


@pytest.mark.parametrize("bound", ["=", "AAAA", "e30", "MQ", "x" * 40])
async def test_a_secret_that_was_bent_is_refused(bound):
    gateway = await front.start(api_keys=(KEY,))
    token = (await make_secret(gateway.client))["value"].partition(".")[0]
    headers = {"Authorization": f"Bearer {token}.{bound}", "Content-Type": "application/sdp"}
    assert (await gateway.client.post(CALLS, data=OFFER, headers=headers)).status == 400
    await gateway.client.close()


async def test_pages_of_allowed_origins_may_call():
    origin = "https://app.example"
    gateway = await front.start(access={"allowed_origins": (origin,)}, api_keys=(KEY,))
    for path in (CALLS, SECRETS):
        response = await gateway.client.options(
            path, headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert response.status == 200
        assert response.headers["Access-Control-Allow-Origin"] == origin
    await gateway.client.close()
