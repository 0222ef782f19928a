"""``/v1/media/{dialect}``: who may open a stream, what it makes of a call, how it ends. Real sockets,
a script for models."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import hmac
import json
import weakref
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.companding import compress
from rtc_stt.errors import ConfigError
from rtc_stt.testing import Said, render
from signaling.telephony import media_socket, stream_routes
from signaling.telephony.call_routes import CALLS
from signaling.telephony.settings import Phones, Telephony
from tests.e2e.support import until
from tests.signaling.streams import KEY, Gateway, Ws, a_gateway

PATH = "/v1/media/twilio"
SCRIPT = [Said(500, 900, "hello"), Said(950, 1_400, "there")]
AUTH = {"Authorization": f"Bearer {KEY}"}
TOKEN = "0123456789abcdef"


@contextlib.asynccontextmanager
async def started(
    path: str = PATH, *, telephony: dict[str, Any] | None = None, **server: Any
) -> AsyncIterator[Gateway]:
    phones = Phones(telephony=Telephony(**(telephony or {})))
    async with a_gateway(path=path, script=SCRIPT, phones=phones, **server) as gateway:
        gateway.told = []
        gateway.app[CALLS].subscribe(lambda _, event: gateway.told.append(json.loads(event.text)))
        yield gateway
        await until(lambda: not gateway.app[CALLS].calls)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with started() as made:
        yield made


def start(
    encoding: str = "audio/x-mulaw", rate: int = 8_000, tracks=("inbound",), **parameters: str
) -> dict[str, Any]:
    form = {"encoding": encoding, "sampleRate": rate, "channels": 1}
    fields = {"callSid": "CA1", "tracks": list(tracks), "customParameters": parameters, "mediaFormat": form}
    return {"event": "start", "streamSid": "MZ1", "start": fields}


def speech(ms: int = 2_200) -> np.ndarray:
    """What the script says, at 8 kHz."""
    return render(SCRIPT, ms)[::2]


async def send_audio(
    ws: Ws, data: bytes, *, track: str = "inbound", piece: int = 160, first: int = 0
) -> None:
    for number, begin in enumerate(range(0, len(data), piece), first):
        payload = base64.b64encode(data[begin : begin + piece]).decode()
        media = {
            "track": track,
            "chunk": str(number + 1),
            "timestamp": str(number * piece // 8),
            "payload": payload,
        }
        await ws.send_json({"event": "media", "media": media})


def of_type(gateway: Gateway, kind: str) -> list[dict[str, Any]]:
    return [event for event in gateway.told if event["type"] == kind]


async def ended(gateway: Gateway) -> dict[str, Any]:
    assert await until(lambda: of_type(gateway, "call.ended"))
    return of_type(gateway, "call.ended")[0]


async def closed(ws: Ws) -> tuple[int | None, list[str]]:
    """With which code, and the texts before."""
    async with asyncio.timeout(10):
        texts = [message.data async for message in ws if message.type is aiohttp.WSMsgType.TEXT]
    return ws.close_code, texts


async def make_token(gateway: Gateway) -> str:
    made = await gateway.client.post("/v1/tokens", headers=AUTH)
    return (await made.json())["token"]


def sign(url: str, digest=hashlib.sha1) -> str:
    return base64.b64encode(hmac.new(TOKEN.encode(), url.encode(), digest).digest()).decode()


# ── A call ──


async def test_a_stream_is_a_call(gateway):
    async with gateway.connect() as ws:
        await ws.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await ws.send_json(start(**{"from": "+15550100", "order": "17"}))
        await send_audio(ws, compress(speech(), "mulaw"))
        await ws.send_json({"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "5"}})
        assert await until(lambda: of_type(gateway, "transcript.final"))
        await ws.send_json({"event": "stop"})
        assert (await closed(ws))[0] == 1000
    end = await ended(gateway)
    kinds = [event["type"] for event in gateway.told]
    assert kinds[0] == "call.started"
    assert kinds[-2:] == ["leg.ended", "call.ended"]
    first = gateway.told[0]
    assert (first["source"], first["external_id"], first["caller"]) == ("twilio", "CA1", "+15550100")
    assert first["parameters"] == {"order": "17"}
    (final,) = of_type(gateway, "transcript.final")
    assert (final["text"], final["leg"]) == ("hello there", "caller")
    (digit,) = of_type(gateway, "dtmf")
    assert (digit["digit"], digit["leg"]) == ("5", "caller")
    assert of_type(gateway, "leg.ended")[0]["stats"]["codec"] == "PCMU"
    assert end["reason"] == "stopped"
    assert 2_190 <= end["legs"]["caller"] <= 2_400
    assert [event["seq"] for event in gateway.told] == list(range(1, len(gateway.told) + 1))


async def test_both_tracks_are_two_legs(gateway):
    """What each of them says, a script does not know: see the tests with real models."""
    async with gateway.connect() as ws:
        await ws.send_json(start(tracks=("inbound", "outbound")))
        data = compress(speech(), "mulaw")
        for n in range(0, len(data), 1_600):
            for track in ("inbound", "outbound"):
                await send_audio(ws, data[n : n + 1_600], track=track, piece=1_600, first=n // 1_600)
        await ws.send_json({"event": "stop"})
        await closed(ws)
    end = await ended(gateway)
    assert {event["leg"] for event in of_type(gateway, "transcript.final")} == {"caller", "agent"}
    assert set(end["legs"]) == {"caller", "agent"}
    assert all(2_190 <= ms <= 2_400 for ms in end["legs"].values())


async def test_shuffled_chunks_are_heard_in_order(gateway):
    async with gateway.connect() as ws:
        await ws.send_json(start())
        data = compress(speech(), "mulaw")
        chunks = [(n // 160 + 1, data[n : n + 160]) for n in range(0, len(data), 160)]
        for begin in range(0, len(chunks), 5):
            for number, chunk in reversed(chunks[begin : begin + 5]):
                media = {
                    "chunk": number,
                    "timestamp": 20 * (number - 1),
                    "payload": base64.b64encode(chunk).decode(),
                }
                await ws.send_json({"event": "media", "media": media})
        await ws.send_json({"event": "stop"})
        await closed(ws)
    end = await ended(gateway)
    assert [event["text"] for event in of_type(gateway, "transcript.final")] == ["hello there"]
    assert 2_190 <= end["legs"]["caller"] <= 2_400


async def test_what_was_lost_is_silence_of_the_same_length(gateway):
    async with gateway.connect() as ws:
        await ws.send_json(start())
        data = compress(speech(), "mulaw")
        for n in range(0, len(data), 160):
            if not 12_000 <= n < 14_400:  # 300 ms
                media = {
                    "chunk": n // 160 + 1,
                    "timestamp": n // 8,
                    "payload": base64.b64encode(data[n : n + 160]).decode(),
                }
                await ws.send_json({"event": "media", "media": media})
        await asyncio.sleep(0.3)  # stamps ahead of the clock are not believed
        await ws.send_json({"event": "stop"})
        await closed(ws)
    assert 2_100 <= (await ended(gateway))["legs"]["caller"] <= 2_400


async def test_a_client_that_goes_ends_the_call_and_what_was_said_is_final(gateway):
    ws = await gateway.connect()
    await ws.send_json(start())
    await send_audio(ws, compress(speech(1_300), "mulaw"))
    assert await until(lambda: of_type(gateway, "speech.started"))
    ws._response.connection.transport.abort()
    end = await ended(gateway)
    assert end["reason"] == "connection_lost"
    assert of_type(gateway, "transcript.final")


async def test_a_hang_up_here_closes_the_stream(gateway):
    async with gateway.connect() as ws:
        await ws.send_json(start())
        assert await until(lambda: of_type(gateway, "leg.started"))
        (call,) = gateway.app[CALLS].calls
        call.end("deleted")
        assert await closed(ws) == (1000, [])


async def test_a_drain_finalises_and_closes(gateway):
    async with gateway.connect() as ws, gateway.connect() as half_open:
        await ws.send_json(start())
        await send_audio(ws, compress(speech(1_300), "mulaw"))
        assert await until(lambda: of_type(gateway, "speech.started"))
        await gateway.registry.drain(5)
        assert (await closed(ws))[0] == 1001
        assert of_type(gateway, "transcript.final")
        assert await gateway.refusal() == (503, "unavailable")
        await half_open.close()


async def test_what_jambonz_sends_is_answered():
    async with started("/v1/media/jambonz-stt") as gateway, gateway.connect() as ws:
        begin = {"type": "start", "language": "en-US", "format": "raw", "encoding": "LINEAR16"}
        await ws.send_json(begin | {"sampleRateHz": 8000, "interimResults": True})
        pcm = (speech() * 32_767).astype("<i2").tobytes()
        for n in range(0, len(pcm), 320):
            await ws.send_bytes(pcm[n : n + 320])
        await ws.send_json({"type": "stop"})
        code, texts = await closed(ws)
        told = [json.loads(text) for text in texts]
        assert code == 1000
        assert {message["type"] for message in told} == {"transcription"}
        assert told[-1]["is_final"]
        assert told[-1]["alternatives"][0]["transcript"] == "hello there"
        assert (told[-1]["language"], told[-1]["channel"]) == ("en", 1)


async def test_jambonz_is_told_in_its_form_what_went_wrong():
    async with started("/v1/media/jambonz-stt") as gateway, gateway.connect() as ws:
        await ws.send_json({"type": "start", "encoding": "OGG_OPUS", "sampleRateHz": 8000})
        code, (error,) = await closed(ws)
        assert code == 1003
        assert json.loads(error)["type"] == "error"


async def test_stereo_is_two_parties():
    async with started("/v1/media/freeswitch") as gateway:
        async with gateway.connect("?rate=8000&channels=2&language=en&legs=customer,clerk") as ws:
            narrow = (speech() * 32_767).astype("<i2")
            await ws.send_str('{"uuid": "u1", "queue": "sales"}')
            both = np.stack([narrow, narrow], axis=1).tobytes()
            for n in range(0, len(both), 641):
                await ws.send_bytes(both[n : n + 641])
            assert await until(lambda: of_type(gateway, "transcript.final"))
            await ws.close()
        end = await ended(gateway)
        assert {event["leg"] for event in of_type(gateway, "transcript.final")} == {"customer", "clerk"}
        assert set(end["legs"]) == {"customer", "clerk"}
        assert end["reason"] == "closed"
        assert gateway.told[0]["parameters"] == {"uuid": "u1", "queue": "sales"}


async def test_a_pause_of_a_stream_without_stamps_is_silence(monkeypatch):
    monkeypatch.setattr(media_socket, "IDLE_S", 0.3)
    monkeypatch.setattr(media_socket, "FILL_S", 0.1)
    async with started("/v1/media/freeswitch") as gateway:
        async with gateway.connect("?rate=8000") as ws:
            begun = asyncio.get_running_loop().time()
            for _ in range(2):
                await ws.send_bytes(bytes(3_200))
                await asyncio.sleep(0.6)
            await ws.send_bytes(bytes(3_200))
            lasted = asyncio.get_running_loop().time() - begun
            await ws.close()
        end = await ended(gateway)
        assert 1_000 * lasted - 150 <= end["legs"]["caller"] <= 1_000 * lasted + 300


async def test_an_option_that_is_wrong_is_told_and_the_call_goes_on(gateway):
    async with gateway.connect() as ws:
        await ws.send_json(start(language="xx-YY"))
        assert await until(lambda: of_type(gateway, "warning"))
        await ws.send_json({"event": "stop"})
        assert (await closed(ws))[0] == 1000


async def test_a_subprotocol_of_jambonz_is_chosen():
    offered = ("audio.jambonz.org",)
    async with started("/v1/media/jambonz") as gateway, gateway.connect(protocols=offered) as ws:
        assert ws.protocol == "audio.jambonz.org"


async def test_calls_one_after_another_leave_nothing_behind(gateway):
    sockets: weakref.WeakSet[media_socket.MediaSocket] = weakref.WeakSet()
    gateway.app[CALLS].subscribe(lambda call, _: sockets.add(call.source))
    tasks = len(asyncio.all_tasks())
    for _ in range(30):
        async with gateway.connect() as ws:
            await ws.send_json(start())
            await send_audio(ws, compress(speech(200), "mulaw"))
            await ws.send_json({"event": "stop"})
            assert (await closed(ws))[0] == 1000
    assert await until(lambda: not gateway.app[CALLS].calls and len(asyncio.all_tasks()) <= tasks + 1)
    gc.collect()
    assert len(sockets) <= 1, "but the last, which its connection may hold"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("chat", "audio.drachtio.org"), "audio.drachtio.org"),
        (("audio.of-ours.example",), "audio.of-ours.example"),
    ],
)
async def test_what_a_subprotocol_is_called_may_be_changed(offered, chosen, caplog):
    async with started("/v1/media/freeswitch") as gateway:
        async with gateway.connect(protocols=offered) as ws:
            assert ws.protocol == chosen
        assert await gateway.refusal(**{"Sec-WebSocket-Protocol": "a b"}) == (400, "bad_request")
        assert await gateway.refusal(**{"Sec-WebSocket-Protocol": "x" * 65}) == (400, "bad_request")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


# ── Who may come in ──


async def test_without_a_dialect_there_is_nothing(gateway):
    gateway.path = "/v1/media/other"
    assert await gateway.refusal() == (404, "not_found")


async def test_without_an_upgrade_it_is_a_bad_request(gateway):
    response = await gateway.client.get(PATH)
    assert response.status == 400


@pytest.mark.parametrize(
    "headers", [AUTH, {"Authorization": "Basic " + base64.b64encode(f"any:{KEY}".encode()).decode()}]
)
async def test_a_key_opens_the_door_however_it_is_shown(headers):
    async with started(api_keys=(KEY,)) as gateway, gateway.connect(headers=headers) as ws:
        await ws.send_json(start())
        assert await until(lambda: of_type(gateway, "leg.started"))
        await ws.send_json({"event": "stop"})
        await closed(ws)


@pytest.mark.parametrize(
    "authorization", ["Bearer wrong-key-of-sixteen", "Basic YTpi", "Basic %", "Basic /w==", "Digest x"]
)
async def test_a_wrong_key_is_401(authorization):
    async with started(api_keys=(KEY,)) as gateway:
        assert await gateway.refusal(Authorization=authorization) == (401, "unauthorized")
        assert gateway.count("rtc_stt_phone_refused_total", reason="auth") == 1


async def test_a_key_has_no_place_in_a_url():
    async with started(api_keys=(KEY,)) as gateway:
        assert await gateway.refusal(f"/{KEY}") == (401, "unauthorized")
        assert await gateway.refusal(f"?access_token={KEY}") == (401, "unauthorized")


@pytest.mark.parametrize("place", ["path", "query", "parameters"])
async def test_a_token_opens_one_call(place, caplog):
    async with started(api_keys=(KEY,)) as gateway:
        token = await make_token(gateway)
        query = {"path": f"/{token}", "query": f"?access_token={token}", "parameters": ""}[place]
        parameters = {"token": token} if place == "parameters" else {}
        async with gateway.connect(query) as ws:
            await ws.send_json(start(**parameters))
            assert await until(lambda: of_type(gateway, "leg.started"))
            assert token not in json.dumps(gateway.told)
            await ws.send_json({"event": "stop"})
            await closed(ws)
        await ended(gateway)
        if place == "parameters":
            async with gateway.connect() as ws:
                await ws.send_json(start(**parameters))
                assert (await closed(ws))[0] == 4401
            assert gateway.count("rtc_stt_phone_refused_total", reason="auth") == 1
        else:
            assert await gateway.refusal(query) == (401, "token_replayed")
        assert token not in caplog.text


async def test_who_shows_nothing_gets_no_call():
    async with started(api_keys=(KEY,)) as gateway:
        for parameters in ({}, {"token": "st_wrong"}, {"token": KEY}):
            async with gateway.connect() as ws:
                await ws.send_json(start(**parameters))
                await send_audio(ws, compress(speech(200), "mulaw"))
                assert (await closed(ws))[0] == 4401
        assert not gateway.told
        assert gateway.count("rtc_stt_phone_refused_total", reason="auth") == 3


async def test_who_never_starts_is_let_go(gateway, monkeypatch):
    monkeypatch.setattr(media_socket, "BEGIN_TIMEOUT_S", 0.2)
    async with gateway.connect() as ws:
        await ws.send_json({"event": "connected"})
        assert (await closed(ws))[0] == 4408
    assert gateway.count("rtc_stt_phone_refused_total", reason="no_start") == 1


async def test_those_who_have_shown_nothing_are_few(monkeypatch):
    monkeypatch.setattr(stream_routes, "MAX_HALF_OPEN_PER_ADDRESS", 2)
    async with started(api_keys=(KEY,)) as gateway:
        async with gateway.connect(), gateway.connect() as second:
            assert await gateway.refusal() == (503, "unavailable")
            async with gateway.connect(headers=AUTH):
                await second.close()
        async with gateway.connect():
            pass


@pytest.fixture
async def signed() -> AsyncIterator[Gateway]:
    telephony = {"twilio_auth_token": TOKEN, "public_url": "https://stt.example"}
    async with started(telephony=telephony, api_keys=(KEY,)) as made:
        yield made


async def test_a_signature_opens_the_door(signed):
    headers = {"X-Twilio-Signature": sign(f"wss://stt.example{PATH}")}
    async with signed.connect(headers=headers) as ws:
        await ws.send_json(start())
        assert await until(lambda: of_type(signed, "leg.started"))
        await ws.send_json({"event": "stop"})
        await closed(ws)
    newer = sign(f"https://stt.example:443{PATH}/", hashlib.sha256)
    settings = {"X-Twilio-Webhooks-Signature-Settings": "alg=sha256"}
    async with signed.connect(headers={"X-Twilio-Signature": newer} | settings):
        pass


async def test_a_bad_signature_is_403_and_counted(signed):
    good = sign(f"wss://stt.example{PATH}")
    bad = sign(f"wss://stt.example{PATH}/other")
    assert await signed.refusal(**{"X-Twilio-Signature": bad}) == (403, "forbidden")
    assert await signed.refusal(**{"X-Twilio-Signature": good[::-1]}) == (403, "forbidden")
    assert await signed.refusal(**{"X-Twilio-Signature": bad} | AUTH) == (403, "forbidden")
    assert await signed.refusal() == (403, "forbidden")
    assert signed.count("rtc_stt_phone_refused_total", reason="signature") == 4
    async with signed.connect(headers=AUTH):
        pass


async def test_a_signature_is_asked_of_carriers_that_sign(signed):
    signed.path = "/v1/media/telnyx"
    async with signed.connect():  # a token may still come with its start
        pass


async def test_a_public_url_that_is_none_is_found_at_the_start():
    for url in ("stt.example", "ftp://stt.example", "https://", "https://["):
        with pytest.raises(ConfigError, match="PUBLIC_URL"):
            async with started(telephony={"public_url": url}):
                pass


async def test_pages_of_other_origins_may_not(gateway):
    assert await gateway.refusal(Origin="https://evil.example") == (403, "forbidden")
    async with gateway.connect(headers={"Origin": "http://127.0.0.1"}):
        pass  # as libwebsockets says it, without the port


# ── Limits ──


async def test_a_full_server_refuses_before_the_upgrade():
    async with started(telephony={"max_calls": 1}) as gateway, gateway.connect() as ws:
        await ws.send_json(start())
        assert await until(lambda: of_type(gateway, "leg.started"))
        assert await gateway.refusal() == (503, "unavailable")
        assert gateway.count("rtc_stt_phone_refused_total", reason="full") == 1


async def test_calls_that_begin_too_fast_are_refused(gateway, monkeypatch):
    monkeypatch.setattr(stream_routes, "CALL_RATE", 0.001)
    monkeypatch.setattr(stream_routes, "CALL_BURST", 2.0)
    for code in (1000, 1000, 4429):
        async with gateway.connect() as ws:
            await ws.send_json(start())
            await ws.send_json({"event": "stop"})
            assert (await closed(ws))[0] == code
    assert gateway.count("rtc_stt_phone_refused_total", reason="rate") == 1


async def test_where_there_is_no_place_for_a_leg_there_is_no_call():
    async with started(max_sessions=1) as gateway, gateway.connect() as ws:
        await ws.send_json(start(tracks=("inbound", "outbound")))
        assert (await closed(ws))[0] == 1013
        assert (await ended(gateway))["reason"] == "no_room"


async def test_a_first_message_that_is_none_is_the_end(gateway):
    for message in ("hello", "[" * 100_000, json.dumps({"event": "media"})):
        async with gateway.connect() as ws:
            await ws.send_str(message)
            assert (await closed(ws))[0] == 1008
    assert not gateway.told


async def test_some_messages_that_are_none_are_borne(gateway, monkeypatch):
    monkeypatch.setattr(media_socket, "MAX_BAD", 3)
    async with gateway.connect() as ws:
        await ws.send_json(start())
        for _ in range(3):
            await ws.send_str("nonsense")
        await ws.send_json({"event": "dtmf", "dtmf": {"digit": "1"}})
        assert await until(lambda: of_type(gateway, "dtmf"))
        await ws.send_bytes(b"nonsense")
        assert (await closed(ws))[0] == 1008
    assert (await ended(gateway))["reason"] == "abuse"


async def test_a_message_that_is_too_long_is_the_end(gateway):
    async with gateway.connect() as ws:
        await ws.send_json(start())
        await ws.send_str(" " * (media_socket.MAX_MESSAGE_BYTES + 10))
        assert (await closed(ws))[0] == 1009
    assert (await ended(gateway))["reason"] == "abuse"


async def test_audio_that_is_not_what_was_stated_is_told_of(gateway):
    async with gateway.connect() as ws:
        await ws.send_json(start("OPUS", 16_000))
        await send_audio(ws, b"\xff" * 20 * 30, piece=30)
        assert await until(
            lambda: [e for e in of_type(gateway, "warning") if e["code"] == "audio_undecodable"]
        )
        await ws.close()
