"""The benchmark's side of the bridge, against scripts that a test plays."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from rtc_stt.bench.turns.targets import bridge
from rtc_stt.bench.turns.targets.bridge import BridgeLine, BridgeTarget
from rtc_stt.bench.turns.targets.bridge_messages import HANG_UP, piece
from rtc_stt.bench.turns.targets.pcm import pcm16
from rtc_stt.bench.turns.told import Endpoint, Failed, Final
from rtc_stt.errors import TargetFailed
from tests.bench.turns.targets.scripted_server import FRAME, Ear

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def line_to(script: Script) -> AsyncIterator[tuple[BridgeLine, Ear]]:
    ended = asyncio.Event()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await script(reader, writer)
        writer.close()
        ended.set()

    server = await asyncio.start_server(play, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        ear = Ear()
        streams = await asyncio.open_connection("127.0.0.1", port, limit=bridge.MAX_LINE)
        line = BridgeLine(*streams, ear)
        try:
            yield line, ear
        finally:
            await line.close()
        async with asyncio.timeout(5):
            await ended.wait()


async def test_a_turn_and_the_end() -> None:
    heard = b""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.readexactly(2 * (4 + 640))
        writer.write(b'{"type": "endpoint"}\n{"type": "final", "text": "hi"}\n')
        heard += await reader.read()

    async with line_to(script) as (line, ear):
        line.send(FRAME)
        line.send(FRAME)
        assert await ear.count(2) == [Endpoint(), Final("hi")]
    assert heard == 2 * piece(pcm16(FRAME)) + HANG_UP


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "the script closed the connection"),
        (b"Traceback", "a message is not JSON"),
        (b"[]\n", "a message is not a JSON object"),
        (b'{"type": "failed", "reason": "no memory"}\n{"type": "endpoint"}\n', "no memory"),
        (b"x" * (bridge.MAX_LINE + 1), f"the script sent a line of over {bridge.MAX_LINE} bytes"),
        (b'{"type": "started"}\n' * 10_000, "the script says more than anybody can read"),
    ],
    ids=["nothing", "no JSON", "no object", "failed", "too long", "flood"],
)
async def test_a_script_of_no_more_use(said: bytes, reason: str) -> None:
    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    async with line_to(script) as (line, ear):
        assert await ear.count(1) == [Failed(reason)]
        line.send(FRAME)
    assert len(ear.told) == 1


async def test_who_takes_no_sound_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "MAX_WAITING", 640)
    done = asyncio.Event()

    async def deaf(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await done.wait()

    async with line_to(deaf) as (line, ear):
        for _ in range(20_000):
            line.send(FRAME)
            if ear.told:
                break
        assert ear.told == [Failed("the script takes no sound: a minute of it waits")]
        done.set()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import sys; sys.exit('no torch here')",
            "it ended before it was ready. Its last words:\nno torch here",
        ),
        ("print('{\"port\": 0}')", "port is not a number from 1 to 65535"),
        ("print('x' * 200_000)", f"it prints a line of over {bridge.MAX_LINE} bytes"),
        ("import time; print('loading', flush=True); time.sleep(60)", "it is not ready after 0.5 s"),
    ],
    ids=["ends", "wrong port", "long line", "never ready"],
)
async def test_a_script_that_does_not_start(code: str, words: str) -> None:
    target = BridgeTarget(argv=[sys.executable, "-c", code], start_timeout_s=0.5 if "sleep" in code else 30)
    with pytest.raises(TargetFailed) as failed:
        await target.start()
    assert words in str(failed.value)
    await target.close()


async def test_a_python_that_there_is_not() -> None:
    target = BridgeTarget(argv=["/no/such/python", "peer.py"])
    assert target.name == "peer"
    with pytest.raises(TargetFailed, match="/no/such/python: No such file or directory"):
        await target.start()


SLOW = """
import json, socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(json.dumps({"port": listener.getsockname()[1], "says_ready": True}), flush=True)
connection, _ = listener.accept()
time.sleep(0.2)
connection.sendall(%s)
connection.recv(1)
"""


READY = repr(b'{"type": "started"}\n{"type": "ready"}\n')


async def test_a_session_is_connected_when_it_has_been_made() -> None:
    target = BridgeTarget(argv=[sys.executable, "-c", SLOW % READY])
    await target.start()
    try:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        line = await target.connect(Ear(), None)
        assert loop.time() - begun >= 0.2
        await line.close()
    finally:
        await target.close()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (repr(b'{"type": "failed"}\n'), "it hangs"),
        ("b'x' * 200_000", "it says what nobody can read"),
    ],
)
async def test_a_session_that_is_never_made_is_refused(said: str, words: str) -> None:
    target = BridgeTarget(argv=[sys.executable, "-c", SLOW % said], start_timeout_s=1.5)
    await target.start()
    try:
        with pytest.raises(TargetFailed, match=words):
            await target.connect(Ear(), None)
    finally:
        await target.close()
