"""Whoever hears phone calls, against a started server: WebSockets, tokens, webhooks, and the end of it all.

The calls come over AudioSocket, with a recording that the demo models understand.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.words import normalise
from tests.e2e import support
from tests.e2e.support import until
from tests.signaling.telephony.asterisk.talk import audio, frame, linear, name
from tools.ports import free_port

pytestmark = pytest.mark.e2e

ACME, SPARE, OTHER = "first-key-of-acme-000", "second-key-of-acme-00", "key-of-somebody-else0"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
HANG_UP = frame(0x00)


@dataclass
class House:
    """A server with two accounts, and a receiver of its webhooks."""

    url: str
    audiosocket: int
    received: Path
    """What the receiver prints."""

    def lines(self) -> list[str]:
        return self.received.read_text(encoding="utf-8").splitlines()

    def session(self, key: str = ACME) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return aiohttp.ClientSession(self.url, headers=headers)


@contextlib.contextmanager
def a_house(folder: Path, start: Callable[..., support.Process]) -> Iterator[House]:
    keys, port, hook = folder / "keys.txt", free_port(), free_port()
    keys.write_text(f"{ACME} name=acme\n{SPARE} name=acme\n{OTHER} name=other\n", encoding="utf-8")
    keys.chmod(0o600)
    printed = folder / "receiver.log"
    with printed.open("wb") as out:
        receiver = subprocess.Popen(
            [sys.executable, "examples/webhook_receiver.py", str(hook)],
            cwd=support.ROOT,
            env=support.clean_environment(WEBHOOK_SECRET=SECRET),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = start(
        *("demo", "--port", "0", "--log-level", "info"),
        API_KEYS_FILE=str(keys),
        AUDIOSOCKET_PORT=str(port),
        WEBHOOK_URL=f"http://127.0.0.1:{hook}/",
        WEBHOOK_SECRET=SECRET,
        WEBHOOK_DEAD_LETTERS=str(folder / "dead.jsonl"),
        DRAIN_SECONDS="15",
    )
    try:
        yield House(server.url(), port, printed)
        server.stop()
        for secret in (SECRET, ACME, "+49", f":{hook}"):
            assert secret not in server.log
        assert (folder / "dead.jsonl").read_bytes() == b""
    finally:
        server.kill()
        receiver.kill()
        receiver.wait(10)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("calls")

    def start(*arguments: str, **environment: str) -> support.Process:
        return support.Process(folder / "server.log", *arguments, **environment)

    with a_house(folder, start) as made:
        yield made


@contextlib.asynccontextmanager
async def dialled(
    house: House, number: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of Asterisk's, whose call has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.audiosocket)
    writer.write(name(uuid.UUID(number)))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def announce(session: aiohttp.ClientSession, **more: Any) -> dict[str, Any]:
    body = {"source": "audiosocket"} | more
    async with session.post("/v1/calls", json=body, raise_for_status=True) as answer:
        found: dict[str, Any] = await answer.json()
    return found


async def events(session: aiohttp.ClientSession, path: str) -> list[dict[str, Any]]:
    """All that is told of a call, to its end."""
    async with session.ws_connect(path) as ws:
        return await gather(ws)


async def talk(writer: asyncio.StreamWriter, speech: Samples, silence_s: float = 1.2) -> None:
    """Say something in frames of 20 ms, twice as fast as it is spoken."""
    whole = np.concatenate([support.silence(0.5), speech, support.silence(silence_s)])
    data = linear(np.clip(support.resample(whole, 8_000), -1, 1))
    for at in range(0, len(data), 320):
        writer.write(audio(data[at : at + 320], 320, 0x10))
        await asyncio.sleep(0.01)


def of(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in told if event["type"] == kind]


def text(told: list[dict[str, Any]]) -> list[str]:
    return normalise(" ".join(event["text"] for event in of(told, "transcript.final")))


def of_the_guide(beginning: str) -> dict[str, Any]:
    """What a piece of code in the guide defines."""
    guide = (support.ROOT / "docs/guides/calls.md").read_text(encoding="utf-8")
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", guide, re.S) if code.startswith(beginning)]
    defined: dict[str, Any] = {"aiohttp": aiohttp, "asyncio": asyncio}
    exec(code, defined)  # noqa: S102 — it is our own
    return defined


async def gather(ws: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    async with asyncio.timeout(30):
        return [json.loads(message.data) async for message in ws]


async def test_a_call_is_heard_in_every_way_by_those_who_may(
    house: House, digits: list[support.Clip]
) -> None:
    (clip,) = digits
    async with house.session() as acme, house.session(OTHER) as other, house.session("") as page:
        expected = await announce(acme, options={"language": "en"}, caller="+49 30 1")
        path = expected["events_url"]
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await other.ws_connect(path)
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await page.ws_connect(path)
        async with acme.post(f"{path.removesuffix('/events')}/tokens", raise_for_status=True) as answer:
            token = (await answer.json())["token"]
        own = asyncio.create_task(events(acme, path))
        hear = of_the_guide("async def hear")["hear"]

        async def hear_all() -> list[dict[str, Any]]:
            return [event async for event in hear(acme, expected["call_id"])]

        as_in_the_guide = asyncio.create_task(hear_all())
        shown = asyncio.create_task(events(page, f"{path}?access_token={token}"))
        async with (
            acme.ws_connect("/v1/calls/events") as all_calls,
            other.ws_connect("/v1/calls/events") as no_calls,
        ):
            async with dialled(house, expected["uuid"]) as (reader, writer):
                await talk(writer, clip.audio)
                writer.write(frame(0x03, b"7") + HANG_UP)
                async with asyncio.timeout(20):
                    assert await reader.read() == HANG_UP
            told = await own
            assert [event["seq"] for event in told] == list(range(1, len(told) + 1))
            assert text(told) == normalise(clip.text)
            assert (told[0]["type"], told[0]["caller"]) == ("call.started", "+49 30 1")
            assert told[-1]["type"] == "call.ended"
            assert await shown == await as_in_the_guide == told
            async with asyncio.timeout(10):
                assert [await all_calls.receive_json() for _ in told] == told
            with pytest.raises(TimeoutError):
                await no_calls.receive_json(timeout=0.2)
        async with acme.get(f"/v1/calls/{expected['call_id']}", raise_for_status=True) as answer:
            assert (await answer.json())["state"] == "ended"
        finals = [f"caller: {event['text']}" for event in of(told, "transcript.final")]
        wanted = ["-- call.started", *finals, "-- pressed 7", "-- hangup"]
        assert await until(lambda: len(house.lines()) >= len(wanted))
        assert sorted(house.lines()) == sorted(wanted)
        assert (house.lines()[0], house.lines()[-1]) == (wanted[0], wanted[-1])
        async with acme.get("/metrics") as answer:
            metrics = await answer.text()
        assert f'rtc_stt_webhooks_total{{result="delivered"}} {float(len(wanted))}' in metrics
        assert 'rtc_stt_calls_ended_total{result="hangup",source="audiosocket"} 1.0' in metrics


async def test_a_listener_that_is_cut_off_comes_back_and_misses_nothing(
    house: House, sentences: list[support.Clip]
) -> None:
    clip = sentences[0]
    told: list[dict[str, Any]] = []
    async with house.session() as acme, house.session(SPARE) as spare:
        expected = await announce(acme, options={"language": "en"})
        path = expected["events_url"]
        whole = asyncio.create_task(events(acme, path))
        async with dialled(house, expected["uuid"]) as (reader, writer):
            talking = asyncio.create_task(talk(writer, clip.audio))
            for _ in range(4):
                last = told[-1]["seq"] if told else 0
                async with spare.ws_connect(f"{path}?last_seq={last}") as ws:
                    told += [await ws.receive_json(timeout=10) for _ in range(2)]
                    assert ws._response.connection
                    ws._response.connection.transport.abort()
            await talking
            writer.write(HANG_UP)
            await reader.read()
        told += await events(spare, f"{path}?last_seq={told[-1]['seq']}")
        numbers = [event["seq"] for event in told]
        assert numbers == sorted(set(numbers))
        replaced = ("transcript.partial", "transcript.eager")
        kept = [event for event in await whole if event["type"] not in replaced]
        assert [event for event in told if event["type"] not in replaced] == kept
        assert text(told) == normalise(clip.text)


async def test_a_call_is_hung_up_from_here_and_its_last_words_are_told(
    house: House, sentences: list[support.Clip]
) -> None:
    clip = sentences[1]
    async with house.session() as acme, house.session(OTHER) as other:
        expected = await announce(acme, options={"language": "en"})
        told = asyncio.create_task(events(acme, expected["events_url"]))
        async with dialled(house, expected["uuid"]) as (reader, writer):
            await talk(writer, clip.audio, 0.2)
            call = f"/v1/calls/{expected['call_id']}"
            async with other.delete(call) as answer:
                assert answer.status == 404
            async with acme.delete(call) as answer:
                assert answer.status == 204
            async with asyncio.timeout(10):
                assert await reader.read() == HANG_UP
        assert (await told)[-1]["reason"] == "deleted"
        assert text(await told) == normalise(clip.text)


async def test_what_does_not_come_is_not_waited_for(house: House) -> None:
    async with house.session() as acme:
        expected = await announce(acme)
        async with acme.ws_connect(expected["events_url"]) as ws:
            async with acme.delete(f"/v1/calls/{expected['call_id']}") as answer:
                assert answer.status == 204
            (error,) = await gather(ws)
            assert (error["code"], ws.close_code) == ("call_gone", 4404)
        reader, writer = await asyncio.open_connection("127.0.0.1", house.audiosocket)
        writer.write(name(uuid.UUID(expected["uuid"])))
        async with asyncio.timeout(5):
            assert await reader.read() == HANG_UP
        writer.close()


async def test_a_server_that_ends_tells_the_last_words_to_everyone(
    tmp_path: Path, start_server: Callable[..., support.Process], sentences: list[support.Clip]
) -> None:
    clip = sentences[2]
    started: list[support.Process] = []

    def start(*arguments: str, **environment: str) -> support.Process:
        started.append(start_server(*arguments, **environment))
        return started[-1]

    with a_house(tmp_path, start) as house:
        async with house.session() as acme:
            expected = await announce(acme, options={"language": "en"})
            told = asyncio.create_task(events(acme, expected["events_url"]))
            async with acme.ws_connect("/v1/calls/events") as all_calls:
                async with dialled(house, expected["uuid"]) as (reader, writer):
                    await talk(writer, clip.audio, 0.2)
                    started[0].terminate()
                    async with asyncio.timeout(10):
                        assert await reader.read() == HANG_UP
                assert text(await told) == normalise(clip.text)
                assert (await told)[-1]["reason"] == "drained"
                assert (await gather(all_calls))[-1] == (await told)[-1]
                assert all_calls.close_code == 1001
        assert await asyncio.to_thread(started[0].wait) == 0
        finals = [f"caller: {event['text']}" for event in of(await told, "transcript.final")]
        assert house.lines() == ["-- call.started", *finals, "-- drained"]
