"""One fallback service over real sockets: what it is asked, and whatever it may answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest

from rtc_stt import remote_lane
from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.decode_queue import Ticket
from rtc_stt.failover import News, Outcome, Setback
from rtc_stt.hypothesis import DecodeRequest, Draft, Hypothesis, Tier, Word
from rtc_stt.lanes import Run
from rtc_stt.remote_lane import MAX_BODY, MAX_IN_FLIGHT, RemoteLane, Reply
from tests import fallback_service as services
from tests.fallback_service import Service, verbose
from tests.harness import request as any_request

TIMEOUT_S = 5.0
"""Only a broken lane gets there."""

KEY = "the-key-of-the-fallback"


def request(stream: str = "a", **options: object) -> DecodeRequest:
    return any_request(stream, tier=Tier.ACCURATE, **options)  # type: ignore[arg-type]


class Asker:
    """A lane, and its replies."""

    def __init__(self, url: str, *, timeout_s: float = 2.0, key: str = KEY) -> None:
        self.replies: asyncio.Queue[tuple[Run, Reply]] = asyncio.Queue()
        self.lane = RemoteLane(
            url, title="it", api_key=key, timeout_s=timeout_s, clock=time.monotonic, done=self._take
        )

    def _take(self, run: Run, replies: list[Reply]) -> None:
        (reply,) = replies
        self.replies.put_nowait((run, reply))

    def start(self, asked: DecodeRequest) -> None:
        self.lane.start([Ticket(asked, 0.0, 0)])

    async def next(self) -> Reply:
        _, reply = await asyncio.wait_for(self.replies.get(), TIMEOUT_S)
        return reply

    async def ask(self, asked: DecodeRequest) -> Reply:
        self.start(asked)
        return await self.next()


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = await Service().start()
    yield service
    await service.stop()


@pytest.fixture
async def asker(service: Service) -> AsyncIterator[Asker]:
    asker = Asker(service.url)
    yield asker
    await asker.lane.aclose(1.0)


async def setback(asker: Asker) -> Setback:
    reply = await asker.ask(request())
    assert isinstance(reply, Setback)
    assert KEY not in reply.error
    assert "secret" not in reply.error
    assert asker.lane.running == 0
    return reply


# ── What is asked ────────────────────────────────────────────────────────────


async def test_a_request_is_sent_with_its_audio_and_options_and_no_more(
    service: Service, asker: Asker
) -> None:
    audio = np.sin(np.arange(8_000, dtype=np.float32))
    draft = Draft("fast words", "en", 0.9)
    await asker.ask(
        request(audio=audio, language="en", prompt="p", hotwords="h", word_timestamps=True, draft=draft)
    )
    assert service.asked == [
        {
            "cut": "false",
            "response_format": "verbose_json",
            "word_timestamps": "true",
            "language": "en",
            "prompt": "p",
            "hotwords": "h",
        }
    ]
    assert np.abs(service.heard[0] - audio).max() <= 0.5 / 32_767 + 1e-6
    assert service.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_what_is_not_wanted_is_not_sent(service: Service, asker: Asker) -> None:
    await asker.ask(request())
    assert set(service.asked[0]) == {"cut", "response_format", "word_timestamps"}


async def test_it_is_told_by_what_the_request_is_found(service: Service, asker: Asker) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await asker.ask(request(request_id="mine-1", traceparent=traceparent))
    await asker.ask(request())
    told, untold = ({name.lower(): value for name, value in sent.items()} for sent in service.headers)
    assert (told["x-request-id"], told["traceparent"]) == ("mine-1", traceparent)
    assert not {"x-request-id", "traceparent"} & set(untold)


async def test_without_a_key_none_is_sent(service: Service) -> None:
    asker = Asker(service.url + "/", key="")
    await asker.ask(request())
    await asker.lane.aclose(1.0)
    assert "Authorization" not in service.headers[0]


async def test_samples_that_are_too_loud_or_no_numbers_do_no_harm(service: Service, asker: Asker) -> None:
    audio = np.array([2.0, -2.0, np.inf, -np.inf, np.nan, 0.5], np.float32)
    assert isinstance(await asker.ask(request(audio=audio)), Hypothesis)
    assert service.heard[0][:4] == pytest.approx([1, -1, 1, -1])
    assert service.heard[0][5] == pytest.approx(0.5, abs=1e-4)


async def test_prompt_and_context_go_together_and_of_too_much_the_end_is_kept(
    service: Service, asker: Asker
) -> None:
    await asker.ask(request(prompt="about trains", context="we left"))
    await asker.ask(request(prompt="first " * 100, context="then " * 100 + "last"))
    short, long = (asked["prompt"] for asked in service.asked)
    assert short == "about trains we left"
    assert 990 <= len(long) <= 1_000
    assert long.startswith("first ")
    assert long.endswith("then last")


async def test_where_one_language_is_meant_it_is_not_detected(service: Service, asker: Asker) -> None:
    await asker.ask(request(languages=("en",)))
    await asker.ask(request(languages=("en", "de")))
    await asker.ask(request(language="de", languages=("en",)))
    assert [asked.get("language") for asked in service.asked] == ["en", None, "de"]


# ── What is answered ────────────────────────────────────────────────────────────


async def test_an_answer_becomes_a_hypothesis_in_media_time(service: Service, asker: Asker) -> None:
    service.words = [("better", 100, 400), ("words", 450, 900)]
    asked = request(audio_start=10 * SAMPLE_RATE, word_timestamps=True)
    reply = await asker.ask(asked)
    assert isinstance(reply, Hypothesis)
    assert reply.request is asked
    assert (reply.text, reply.language, reply.model) == ("better words", "en", "medium")
    assert (reply.language_probability, reply.avg_logprob) == (0.98, -0.1)
    assert (reply.no_speech_prob, reply.compression_ratio, reply.tokens) == (0.02, 1.1, 3)
    assert reply.words == (Word("better", 10_100, 10_400, 0.9), Word("words", 10_450, 10_900, 0.9))
    assert not reply.verified
    assert asker.lane.model == "medium"


async def test_of_a_language_that_was_forced_there_is_no_doubt(service: Service, asker: Asker) -> None:
    reply = await asker.ask(request(language="en"))
    assert isinstance(reply, Hypothesis)
    assert reply.language_probability == 1.0


@pytest.mark.parametrize(
    "options", [{"language": "de"}, {"languages": ("de", "fr")}], ids=["forced", "among"]
)
async def test_an_answer_in_another_language_than_was_meant_is_none(
    asker: Asker, options: dict[str, object]
) -> None:
    reply = await asker.ask(request(**options))
    assert isinstance(reply, Setback)
    assert (reply.news, reply.ends_request) == (News.WELL, True)


async def test_that_nothing_was_heard_is_an_answer_in_any_language(service: Service, asker: Asker) -> None:
    service.text = ""
    reply = await asker.ask(request(language="de"))
    assert isinstance(reply, Hypothesis)
    assert (reply.text, reply.tokens) == ("", 0)


async def test_connections_are_kept(service: Service, asker: Asker) -> None:
    for _ in range(3):
        await asker.ask(request())
    assert asker.lane._http is not None
    assert isinstance(asker.lane._http.connector, remote_lane.aiohttp.TCPConnector)
    assert sum(map(len, asker.lane._http.connector._conns.values())) == 1


# ── What goes wrong ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("behaviour", "outcome", "error"),
    [
        (services.status(429, Retry_After="3"), "busy", "answers 429: too many requests"),
        (services.status(503), "busy", "answers 503: service unavailable"),
        (services.status(500), "error", "answers 500: internal server error"),
        (services.status(401), "refused", "answers 401: unauthorized"),
        (services.status(413), "refused", "answers 413"),
        (services.status(302, Location="/elsewhere"), "error", "answers 302: found"),
        (services.status(307, Location="/elsewhere"), "error", "answers 307: temporary redirect"),
        (services.status(204), "error", "answers 204"),
        (services.body(b""), "error", "answers what cannot be read"),
        (services.body(b"<html>"), "error", "answers what cannot be read"),
        (services.body(b"\xff\xfe{}"), "error", "answers what cannot be read"),
        (services.body(b"[" * 50_000), "error", "answers what cannot be read"),
        (services.body(b"null"), "error", "answers what cannot be read"),
        (services.body(b"{}"), "error", "answers what cannot be read"),
        (services.body(json.dumps(verbose("x", model="")).encode()), "error", "answers what cannot be read"),
        (services.body(b"\x1f\x8b" * 50, Content_Encoding="gzip"), "error", "answers what cannot be read"),
        (services.body(b" " * (MAX_BODY + 1)), "error", "answers more than anyone can say"),
        (services.flood, "error", "answers more than anyone can say"),
        (services.stop_short, "error", "answers what cannot be read"),
        (services.reset, "unreachable", "breaks the connection"),
    ],
)  # fmt: skip
async def test_whatever_it_answers_there_is_one_reply(service, asker, behaviour, outcome, error):
    service.script = [behaviour]
    reply = await setback(asker)
    assert reply.outcome == outcome
    assert reply.error.startswith(error)
    assert isinstance(await asker.ask(request()), Hypothesis), "the next one is none the worse for it"


async def test_when_it_wants_to_be_asked_again_is_told(service, asker):
    service.script = [services.status(503, Retry_After="3")]
    reply = await setback(asker)
    assert (reply.news, reply.after_s) == (News.BUSY, 3.0)


@pytest.mark.parametrize("behaviour", [services.hang, services.trickle], ids=["nothing", "a trickle"])
async def test_what_takes_too_long_is_broken_off(service, behaviour):
    asker = Asker(service.url, timeout_s=0.15)
    service.otherwise = behaviour
    began = time.monotonic()
    reply = await setback(asker)
    assert 0.1 < time.monotonic() - began < 1.0
    assert (reply.outcome, reply.error) == (Outcome.TIMEOUT, "does not answer within 0.15 s")
    await asker.lane.aclose(1.0)


async def test_nobody_there_is_told_at_once(service, asker):
    await service.stop()
    reply = await setback(asker)
    assert (reply.outcome, reply.error) == (Outcome.UNREACHABLE, "cannot be reached")
    await service.start()
    assert isinstance(await asker.ask(request()), Hypothesis)


async def test_a_name_that_nobody_has_is_unreachable():
    asker = Asker("http://no-such-host.invalid:1")
    assert (await setback(asker)).outcome is Outcome.UNREACHABLE
    await asker.lane.aclose(1.0)


async def test_what_speaks_no_http_cannot_be_read():
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    asker = Asker(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert (await setback(asker)).outcome in (Outcome.ERROR, Outcome.UNREACHABLE)
    await asker.lane.aclose(1.0)
    server.close()
    await server.wait_closed()


async def test_an_answer_before_the_upload_has_been_read_is_understood(service, asker):
    async def full(_request: object) -> services.web.Response:
        return services.web.Response(status=503, headers={"Retry-After": "2"})

    await service.stop()
    service._transcribe = full
    await service.start()
    reply = await asker.ask(request(audio=np.zeros(30 * SAMPLE_RATE, np.float32)))
    assert isinstance(reply, Setback)
    assert (reply.outcome, reply.after_s) == (Outcome.BUSY, 2.0)


async def test_a_mistake_of_ours_is_no_lost_request(service, caplog):
    asker = Asker(service.url, key="no\r\nheader")
    reply = await asker.ask(request())
    assert isinstance(reply, Setback)
    assert reply.outcome is Outcome.ERROR
    assert "no\r\nheader" not in caplog.text
    await asker.lane.aclose(1.0)


# ── Many at a time, and the end ────────────────────────────────────────────────────────────


async def until(true: object) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.002)


async def test_as_many_are_under_way_as_may(service, asker):
    service.otherwise = services.hang
    for number in range(MAX_IN_FLIGHT):
        asker.start(request(f"s{number}"))
    assert (asker.lane.free, asker.lane.running) == (0, MAX_IN_FLIGHT)
    await until(lambda: service.running == MAX_IN_FLIGHT)
    service.gate.set()
    for _ in range(MAX_IN_FLIGHT):
        assert isinstance(await asker.next(), Hypothesis)
    assert (asker.lane.free, service.most) == (MAX_IN_FLIGHT, MAX_IN_FLIGHT)


async def test_what_nobody_waits_for_is_broken_off(service, asker):
    service.otherwise = services.hang
    for stream in ("gone", "stays", "gone"):
        asker.start(request(stream))
    await until(lambda: service.running == 3)
    gone = asker.lane.forget("gone")
    assert [ticket.request.stream_id for ticket in gone] == ["gone", "gone"]
    assert asker.lane.running == 1
    service.gate.set()
    reply = await asker.next()
    assert isinstance(reply, Hypothesis)
    assert reply.request.stream_id == "stays"
    await asyncio.sleep(0.02)
    assert asker.replies.empty()


async def test_at_the_end_nothing_is_left(service):
    before = asyncio.all_tasks()
    asker = Asker(service.url)
    service.otherwise = services.hang
    for _ in range(3):
        asker.start(request())
    await until(lambda: service.running == 3)
    await asyncio.wait_for(asker.lane.aclose(5.0), 1.0)
    assert asker.replies.empty()
    service.gate.set()
    await until(lambda: not service.running)
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == before
    await asker.lane.aclose(5.0)  # again is no mistake


async def test_who_asked_nothing_has_nothing_to_close():
    asker = Asker("http://127.0.0.1:1")
    await asker.lane.aclose(1.0)
    assert asker.lane._http is None


@pytest.mark.alone
async def test_the_longest_request_does_not_hold_up_the_loop(service, asker):
    audio = np.random.default_rng(1).uniform(-1, 1, 30 * SAMPLE_RATE).astype(np.float32)
    best = min(_seconds(lambda: remote_lane._form(request(audio=audio))) for _ in range(5))
    assert best < 0.005
    body = json.dumps(verbose("x", words=[("word", 1, 2)] * 1_200)).encode()
    assert 0.9 * MAX_BODY < len(body) < MAX_BODY
    best = min(_seconds(lambda: remote_lane.read_heard(json.loads(body))) for _ in range(5))
    assert best < 0.01


def _seconds(call: object) -> float:
    began = time.thread_time()  # others may be busy on this machine
    call()  # type: ignore[operator]
    return time.thread_time() - began
