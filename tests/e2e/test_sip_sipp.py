"""Calls of sipp, the SIP test tool, to a server in a process of its own: signalling as it goes in the field,
with speech in it that has to be understood.

The scenarios are played side by side, since most of a call is waiting; each test looks at its own.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rtc_stt.bench.words import normalise
from tests.e2e.phones.server import PhoneServer, phone_server
from tests.e2e.phones.sipsak import sipsak
from tests.e2e.phones.words import Words
from tests.e2e.support import Clip, until
from tools.ports import free_port
from tools.telephony.ear import HeardCall
from tools.telephony.packets import RATE, Timed, length, play, press
from tools.telephony.sipp import SippRun, run_sipp

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

USER, PASSWORD = "desk-phone", "a-password-for-tests-only"
ELSEWHERE = "127.0.0.2"
"""An address that is not listed: who calls from there is asked for a password."""

KEYS = "147*#"
RTP_TIMEOUT_S = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(sipp: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PhoneServer]:
    folder = tmp_path_factory.mktemp("sipp")
    async with phone_server(
        folder, SIP_USERS=f"{USER}:{PASSWORD}", SIP_SESSION_EXPIRES="90", RTP_TIMEOUT_S=str(RTP_TIMEOUT_S)
    ) as running:
        yield running


@pytest.fixture(scope="module")
def numbers(digits: list[Clip]) -> Words:
    return Words.of(digits[0])


@pytest.fixture(scope="module")
def sentence(sentences: list[Clip]) -> Words:
    return Words.of(sentences[0])


class Runs:
    """The scenarios that are being played."""

    def __init__(self, server: PhoneServer) -> None:
        self._server = server
        self._tasks: dict[str, asyncio.Task[SippRun]] = {}

    def begin(self, name: str, scenario: str, **how: Any) -> None:
        playing = run_sipp(scenario, self._server.sip_port, caller=name, **how)
        self._tasks[name] = asyncio.create_task(playing, name=name)

    async def done(self, name: str) -> HeardCall:
        """Everything went as the scenario says; what was heard of the call."""
        await self.played(name)
        return await self._server.ear.ended(f"{name}-1", 5)

    async def log(self, name: str) -> str:
        """The messages, both ways."""
        return (await self._tasks[name]).log

    async def played(self, name: str) -> None:
        run = await self._tasks[name]
        assert run.code == 0, run.log

    async def idle(self) -> None:
        """Everything has been played."""
        await asyncio.wait(self._tasks.values())

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def said(words: Words, **more: object) -> dict[str, object]:
    return {"speech_ms": words.ms, **more}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def runs(server: PhoneServer, numbers: Words, sentence: Words) -> AsyncIterator[Runs]:
    playing = Runs(server)
    _begin_plain(playing, numbers)
    _begin_changing(playing, numbers, sentence)
    _begin_asking(playing)
    try:
        yield playing
    finally:
        await playing.close()


def _begin_plain(playing: Runs, numbers: Words) -> None:
    """Calls that say one thing."""
    once = {"speech.pcap": numbers.packets(frame_ms=30)}
    keys = press(KEYS, at_s=0.1, frame_ms=30)
    playing.begin(
        "basic", "call", media={"speech.pcap": [*once["speech.pcap"], *keys]},
        values={"speech_ms": max(numbers.ms, round(length(keys) * 1000) + 100)},
    )  # fmt: skip
    for name in ("late_offer", "lost_ack"):
        playing.begin(name, name, media=once, values=said(numbers))
    playing.begin("tcp", "call", media=once, values=said(numbers), transport="t1")
    playing.begin("stock", "-uac_pcap", options=("-d", "500"), timeout=20)
    patience = {"patience_ms": 1000 * RTP_TIMEOUT_S + 5_000, "expires": 90}
    playing.begin("silent", "expires", media=once, values=patience)
    who = {"user": USER, "password": PASSWORD}
    playing.begin("digest", "digest", media=once, values=said(numbers, **who), address=ELSEWHERE)


def _begin_changing(playing: Runs, numbers: Words, sentence: Words) -> None:
    """Calls that agree on something else on their way, and go on."""

    def later(pause_ms: int) -> list[Timed]:
        """After hold a phone goes on with its stream; after a change of its codec it begins another."""
        return sentence.packets(
            sequence=65_530 + len(numbers.packets()),
            timestamp=2**32 - 4_000 + (numbers.ms + pause_ms) * RATE // 1000,
        )

    both = said(numbers, more_ms=sentence.ms)
    other = sentence.packets(law="alaw", ssrc=0x0A1A)
    playing.begin(
        "reinvite", "reinvite", media={"speech.pcap": numbers.packets(frame_ms=30), "more.pcap": other},
        values=both, options=("-mp", str(free_port())),
    )  # fmt: skip
    hold_ms = RTP_TIMEOUT_S * 1000 // 2 + 200  # twice, and longer than a call may be silent
    playing.begin(
        "hold", "hold", media={"speech.pcap": numbers.packets(), "more.pcap": later(2 * hold_ms)},
        values=both | {"hold_ms": hold_ms},
    )  # fmt: skip
    playing.begin(
        "refresh", "refresh", media={"speech.pcap": numbers.packets(), "more.pcap": later(2 * 700)},
        values=both | {"between_ms": 700, "expires": 90},
    )  # fmt: skip


def _begin_asking(playing: Runs) -> None:
    """What comes to no call, or to none for long."""
    for name in ("small_timer", "options", "late_cancel"):
        playing.begin(name, name)
    wrong = {"user": USER, "password": "guessed", "refused": 401}
    playing.begin("wrong", "wrong_password", values=wrong, address=ELSEWHERE)


def assert_heard(call: HeardCall, *words: Words) -> None:
    assert normalise(call.text("caller")) == normalise(" ".join(each.clip.text for each in words))
    assert call.legs == ["caller"]
    assert call.is_whole
    assert call.reason == "hangup"


async def test_a_call_of_30_ms_packets_is_understood_and_each_key_comes_once(
    runs: Runs, numbers: Words
) -> None:
    call = await runs.done("basic")
    assert_heard(call, numbers)
    assert call.keys("caller") == KEYS


async def test_a_call_over_tcp(runs: Runs, numbers: Words) -> None:
    assert_heard(await runs.done("tcp"), numbers)


async def test_sipps_own_call_with_media(runs: Runs, server: PhoneServer) -> None:
    """A-law, and a key in a sequence of its own: recordings that we did not make."""
    await runs.played("stock")
    assert (await server.ear.ended("sipp")).keys() == "1"


async def test_a_description_that_comes_with_the_ack(runs: Runs, numbers: Words) -> None:
    assert_heard(await runs.done("late_offer"), numbers)


async def test_a_lost_ack_is_waited_for(runs: Runs, numbers: Words) -> None:
    assert_heard(await runs.done("lost_ack"), numbers)
    log = await runs.log("lost_ack")
    assert log.count("SIP/2.0 200 OK") - 1 == 3, "at once, after half a second, after a second more"


async def test_another_codec_on_another_port_in_the_middle(
    runs: Runs, numbers: Words, sentence: Words
) -> None:
    assert_heard(await runs.done("reinvite"), numbers, sentence)


async def test_a_call_on_hold_stays_up_and_is_heard_again(
    runs: Runs, numbers: Words, sentence: Words
) -> None:
    call = await runs.done("hold")
    assert_heard(call, numbers, sentence)
    kinds = [event["type"] for event in call.events]
    assert call.of("call.ended")[0]["duration_ms"] > numbers.ms + RTP_TIMEOUT_S * 1000
    assert kinds.count("call.held") == kinds.count("call.retrieved") == 1
    held, retrieved = call.of("call.held")[0], call.of("call.retrieved")[0]
    (_, after) = call.of("transcript.final")
    assert held["at_ms"] < retrieved["at_ms"] <= after["audio_start_ms"] + 100, "time was spliced out"


async def test_a_call_that_refreshes_its_session(runs: Runs, numbers: Words, sentence: Words) -> None:
    assert_heard(await runs.done("refresh"), numbers, sentence)


async def test_a_call_that_has_become_silent_is_hung_up_on(runs: Runs, numbers: Words) -> None:
    call = await runs.done("silent")
    assert call.reason == "media_timeout"
    assert normalise(call.text()) == normalise(numbers.clip.text)
    silent_ms = call.of("call.ended")[0]["duration_ms"] - numbers.ms
    assert RTP_TIMEOUT_S * 1000 - 500 < silent_ms < RTP_TIMEOUT_S * 1000 + 3_000


async def test_a_session_timer_that_is_too_short_is_refused_with_the_least(runs: Runs) -> None:
    await runs.played("small_timer")


async def test_what_it_can_do_is_told(runs: Runs, server: PhoneServer, sipsak_program: str) -> None:
    await runs.played("options")
    assert await sipsak(server.sip_port) == 0


async def test_a_caller_who_gives_up_too_late_hangs_up(runs: Runs) -> None:
    call = await runs.done("late_cancel")
    assert call.is_whole
    assert call.reason == "hangup"


async def test_a_caller_who_gives_up_gets_no_call(server: PhoneServer, runs: Runs) -> None:
    """A server that has something else to do finds the INVITE and its CANCEL together."""
    await runs.idle()
    try:
        server.process.process.send_signal(signal.SIGSTOP)
        run = await run_sipp("cancel", server.sip_port, caller="cancel", values={"pid": server.pid})
    finally:
        server.process.process.send_signal(signal.SIGCONT)
    assert run.code == 0, run.log
    assert not list(server.ear.named("cancel-1"))


async def test_a_caller_with_a_password(runs: Runs, numbers: Words) -> None:
    assert_heard(await runs.done("digest"), numbers)


async def test_a_caller_with_a_wrong_password(runs: Runs, server: PhoneServer) -> None:
    await runs.played("wrong")
    assert not list(server.ear.named("wrong-1"))


async def test_a_recorder_sends_two_parties_and_each_has_its_words(
    server: PhoneServer, numbers: Words, sentence: Words, tmp_path: Path
) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        for sock in (one, two):
            sock.setblocking(False)
            sock.bind(("127.0.0.1", 0))
        noted = tmp_path / "ports"
        values = {
            "ports": noted, "label_1": "1", "label_2": "2",
            "port_1": one.getsockname()[1], "port_2": two.getsockname()[1],
            "speech_ms": max(numbers.ms, sentence.ms) + 500,
        }  # fmt: skip
        playing = asyncio.create_task(run_sipp("siprec", server.sip_port, caller="recorder", values=values))
        ports = await until(lambda: noted.exists() and noted.read_text().split())
        assert ports, (await playing).log
        first, second = (("127.0.0.1", int(port)) for port in ports)
        await asyncio.gather(
            play(one, first, numbers.packets(ssrc=1)), play(two, second, sentence.packets(ssrc=2))
        )
        run = await playing
    assert run.code == 0, run.log
    call = await server.ear.ended("recorder-1")
    first_leg, second_leg = call.legs
    assert normalise(call.text(first_leg)) == normalise(numbers.clip.text)
    assert normalise(call.text(second_leg)) == normalise(sentence.clip.text)
    assert call.is_whole
    assert call.of("call.started")[0]["source"] == "siprec"
