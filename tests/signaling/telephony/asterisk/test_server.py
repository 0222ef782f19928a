"""The port, with real sockets and a script for models."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from rtc_stt.companding import compress
from rtc_stt.errors import ConfigError
from signaling.keys import GATE
from signaling.telephony.asterisk import server as module
from signaling.telephony.asterisk.conversation import Conversation
from signaling.telephony.asterisk.frames import HANG_UP
from signaling.telephony.asterisk.server import AudioSocketServer
from signaling.telephony.asterisk.waiting_room import MAX_WAITING_OF_ONE
from signaling.telephony.call import Call
from signaling.telephony.call_events import CallEvent
from signaling.telephony.call_source import CallDetails
from signaling.telephony.hub import CallHub
from signaling.telephony.settings import Telephony
from tests.harness import said
from tests.line import until
from tests.signaling.streams import Gateway, a_gateway
from tests.signaling.telephony.asterisk.talk import audio, frame, linear, name, voice

WORDS = "please turn on the lights now"
SPEECH = linear(voice(3.2))


@dataclass
class Exchange:
    """A server, its hub, and what was told."""

    gateway: Gateway
    hub: CallHub
    server: AudioSocketServer
    port: int
    told: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def hear(self, _call: Call, event: CallEvent) -> None:
        self.told.append(json.loads(event.text))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.told if event["type"] == kind]

    def expect(self) -> uuid.UUID:
        return uuid.UUID(self.hub.register(CallDetails("audiosocket", caller="+49301234")).uuid)

    async def connect(
        self, *, address: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))

    async def talk(self, *said: bytes, address: str = "127.0.0.1") -> bytes:
        """Say this, and no more; gives the whole answer."""
        reader, writer = await self.connect(address=address)
        writer.writelines(said)
        if writer.can_write_eof():
            writer.write_eof()
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        return answer

    async def over(self, calls: int = 1) -> None:
        await until(lambda: len(self.of("call.ended")) == calls)
        await until(lambda: not len(self.server))


@contextlib.asynccontextmanager
async def an_exchange(**telephony: Any) -> AsyncIterator[Exchange]:
    async with a_gateway(script=said(WORDS)) as gateway:
        hub = CallHub(gateway.registry, gateway.app[GATE].door, Telephony(**telephony))
        server = AudioSocketServer(hub, "127.0.0.1", 0)
        exchange = Exchange(gateway, hub, server, await server.start())
        hub.subscribe(exchange.hear)
        hub.instrument.phone_refused = exchange.refused.append  # type: ignore[method-assign]
        try:
            yield exchange
        finally:
            await hub.drain(2.0)
            hub.close()
            await server.close()
        assert not len(hub)
        assert not len(server)


async def test_a_call_is_heard_and_its_keys_are_told() -> None:
    async with an_exchange() as exchange:
        answer = await exchange.talk(name(exchange.expect()), audio(SPEECH), frame(0x03, b"5"), HANG_UP)
        await exchange.over()
        assert answer == HANG_UP
        assert [event["text"] for event in exchange.of("transcript.final")] == [WORDS]
        assert [event["digit"] for event in exchange.of("dtmf")] == ["5"]
        assert {event.get("leg") for event in exchange.of("transcript.final")} == {"caller"}
        assert exchange.of("call.started")[0]["caller"] == "+49301234"
        ended = exchange.of("call.ended")[0]
        assert ended["reason"] == "hangup"
        assert ended["legs"]["caller"] >= 3_190
        assert [event["seq"] for event in exchange.told] == list(range(1, len(exchange.told) + 1))
        assert not exchange.of("warning")
        assert not exchange.refused


async def test_the_end_of_the_connection_is_a_hang_up() -> None:
    async with an_exchange() as exchange:
        await exchange.talk(name(exchange.expect()), audio(SPEECH)[:-7])
        await exchange.over()
        assert [event["text"] for event in exchange.of("transcript.final")] == [WORDS]
        assert exchange.of("call.ended")[0]["reason"] == "hangup"


async def test_a_connection_that_is_reset_loses_no_word() -> None:
    async with an_exchange() as exchange:
        _, writer = await exchange.connect()
        writer.write(name(exchange.expect()) + audio(SPEECH))
        await until(lambda: exchange.of("speech.stopped"))
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()
        await exchange.over()
        assert [event["text"] for event in exchange.of("transcript.final")] == [WORDS]
        assert exchange.of("call.ended")[0]["reason"] == "connection_lost"


async def test_mu_law_under_the_wrong_label_is_told_and_heard_at_its_true_length() -> None:
    async with an_exchange() as exchange:
        await exchange.talk(name(exchange.expect()), audio(compress(voice(3.2), "mulaw"), 160), HANG_UP)
        await exchange.over()
        assert [event["code"] for event in exchange.of("warning")] == ["audio_mislabelled"]
        assert 3_190 <= exchange.of("call.ended")[0]["legs"]["caller"] < 4_200


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (name(uuid.UUID(int=0x1234)), "unknown_call"),
        (b"GET / HTTP/1.1\r\n\r\n", "malformed"),
        (frame(0x10, bytes(16)), "malformed"),
        (frame(0x01, bytes(17)), "malformed"),
        (b"", "malformed"),
    ],
)
async def test_who_is_not_expected_is_refused_and_counted_and_the_others_do_not_notice(
    said: bytes, reason: str
) -> None:
    async with an_exchange() as exchange:
        _, writer = await exchange.connect()
        writer.write(name(exchange.expect()) + audio(SPEECH[:16_000]))
        await until(lambda: len(exchange.hub))
        assert await exchange.talk(said, SPEECH) == HANG_UP
        assert exchange.refused == [reason]
        writer.write(audio(SPEECH[16_000:]) + HANG_UP)
        writer.close()
        await exchange.over()
        assert [event["text"] for event in exchange.of("transcript.final")] == [WORDS]


async def test_a_name_is_good_once() -> None:
    async with an_exchange() as exchange:
        id = exchange.expect()
        await exchange.talk(name(id), HANG_UP)
        assert await exchange.talk(name(id), HANG_UP) == HANG_UP
        assert exchange.refused == ["unknown_call"]


async def test_who_does_not_say_who_it_is_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ID_TIMEOUT_S", 0.1)
    async with an_exchange() as exchange:
        reader, writer = await exchange.connect()
        writer.write(name()[:-1])
        async with asyncio.timeout(5):
            assert await reader.read() == HANG_UP
        writer.close()
        assert exchange.refused == ["no_start"]


async def test_silent_connections_take_no_place_from_others() -> None:
    async with an_exchange() as exchange:
        silent = [await exchange.connect() for _ in range(MAX_WAITING_OF_ONE + 10)]
        await until(lambda: len(exchange.refused) == 10)
        assert set(exchange.refused) == {"full"}
        await exchange.talk(name(exchange.expect()), audio(SPEECH), HANG_UP, address="127.0.0.2")
        await until(lambda: exchange.of("call.ended"))
        assert [event["text"] for event in exchange.of("transcript.final")] == [WORDS]
        for _, writer in silent:
            writer.transport.abort()


async def test_where_there_is_no_room_the_call_is_refused_before_it_begins() -> None:
    async with an_exchange(max_calls=1) as exchange:
        _, writer = await exchange.connect()
        writer.write(name(exchange.expect()))
        await until(lambda: len(exchange.hub))
        assert await exchange.talk(name(exchange.expect()), audio(SPEECH)) == HANG_UP
        assert exchange.refused == ["full"]
        writer.close()
        await exchange.over()
        assert len(exchange.of("call.started")) == 1


async def test_a_call_that_ends_here_is_hung_up_and_who_goes_on_sending_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LINGER_S", 0.2)
    async with an_exchange() as exchange:
        reader, writer = await exchange.connect()
        writer.write(name(exchange.expect()) + audio(SPEECH))
        await until(lambda: exchange.of("speech.started"))
        exchange.hub.calls[0].end("deleted")
        async with asyncio.timeout(5):
            assert await reader.readexactly(3) == HANG_UP
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(audio(SPEECH))
                    await writer.drain()
                    await asyncio.sleep(0.02)
        await exchange.over()
        assert exchange.of("call.ended")[0]["reason"] == "deleted"
        assert [event["text"] for event in exchange.of("transcript.final")] == [WORDS]
        writer.close()


async def test_a_drain_ends_calls_with_their_last_words() -> None:
    async with an_exchange() as exchange:
        reader, writer = await exchange.connect()
        writer.write(name(exchange.expect()) + audio(SPEECH))
        await until(lambda: exchange.of("speech.started"))
        await exchange.hub.drain(5.0)
        async with asyncio.timeout(5):
            assert await reader.read() == HANG_UP
        assert [event["text"] for event in exchange.of("transcript.final")] == [WORDS]
        assert exchange.of("call.ended")[0]["reason"] == "drained"
        writer.close()


async def test_a_pbx_that_sends_nothing_sends_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.1)
    monkeypatch.setattr(module, "FILL_S", 0.05)
    async with an_exchange() as exchange:
        _, writer = await exchange.connect()
        writer.write(name(exchange.expect()) + audio(SPEECH[:3_200]))
        await asyncio.sleep(1.0)
        (call,) = exchange.hub.calls
        assert call.at_ms - 300 <= call.legs["caller"].clock.at_ms <= call.at_ms + 50
        writer.write(audio(SPEECH[:3_200]) + HANG_UP)
        writer.close()
        await exchange.over()
        assert exchange.of("call.ended")[0]["legs"]["caller"] >= 1_000


async def test_audio_that_comes_faster_than_it_may_stays_with_its_sender() -> None:
    async with an_exchange() as exchange:
        _, writer = await exchange.connect()
        writer.write(name(exchange.expect()) + audio(SPEECH * 20))  # 64 s
        await asyncio.sleep(0.5)
        assert exchange.hub.calls[0].legs["caller"].clock.at_ms < 20_000
        exchange.hub.calls[0].end("deleted")
        await exchange.over()
        writer.transport.abort()


async def test_frames_with_nothing_in_them_are_not_read_for_ever() -> None:
    async with an_exchange() as exchange:
        _, writer = await exchange.connect()
        writer.write(name(exchange.expect()) + frame(0x10) * 100_000)
        await until(lambda: len(exchange.hub))
        await asyncio.sleep(0.3)
        # By type: others' objects, which are looked at here too, may warn when asked what they are.
        assert max(one.frames for one in gc.get_objects() if type(one) is Conversation) < 5_000
        exchange.hub.calls[0].end("deleted")
        await until(lambda: exchange.of("call.ended"))
        writer.transport.abort()


async def test_fifty_calls_leave_nothing_behind() -> None:
    async with an_exchange() as exchange:
        for _ in range(10):
            calls = [exchange.talk(name(exchange.expect()), audio(SPEECH[:3_200]), HANG_UP) for _ in range(5)]
            assert set(await asyncio.gather(*calls)) == {HANG_UP}
        await exchange.over(50)
        assert not exchange.server._waiting._waiting
        assert not [task for task in asyncio.all_tasks() if "AudioSocket" in repr(task.get_coro())]


async def test_a_port_that_is_taken_is_an_error_of_the_configuration() -> None:
    async with an_exchange() as exchange:
        second = AudioSocketServer(exchange.hub, "127.0.0.1", exchange.port)
        with pytest.raises(ConfigError, match="AUDIOSOCKET_PORT"):
            await second.start()
        await second.close()
