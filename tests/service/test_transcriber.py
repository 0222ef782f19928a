"""Whole recordings through real threads, with a detector and engines that follow a script."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE, samples_to_ms
from rtc_stt.config import Recordings, RedecodeMode, Routing, StreamOptions
from rtc_stt.decode_pool import DecodePool
from rtc_stt.errors import (
    AudioTooLong,
    BadAudio,
    BadRequest,
    DecodeError,
    DecodeFailed,
    EngineBroken,
    Gone,
    Unavailable,
)
from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.service import Options, Transcriber, Transcript
from rtc_stt.service import recording as recording_room
from rtc_stt.service.transcript import Segment
from rtc_stt.session import Speech
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, hypothesis, render
from rtc_stt.vad import DetectorState, VadBatcher
from tests.harness import TRUSTING, said, timed
from tests.service.sound import encoded, wav

WORDS = "please turn on the lights now"
SCRIPT = said(WORDS)
Answer = Callable[[DecodeRequest, str], Hypothesis]


class Engine(ScriptedEngine):
    """Knows how many of its calls ran at a time, and waits where it is told to."""

    def __init__(self, script: Sequence[Said], answer: Answer = hypothesis, name: str = "small") -> None:
        super().__init__(script, answer=answer, name=name)
        self.gate = threading.Event()
        self.gate.set()
        self.running = self.most = 0
        self._lock = threading.Lock()

    def decode(self, request: DecodeRequest) -> Hypothesis:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            assert self.gate.wait(10)
            return super().decode(request)
        finally:
            with self._lock:
                self.running -= 1

    decode_batch = None  # type: ignore[assignment]  # one call a request, so that they can be counted


class Studio:
    """A transcriber, what is said in its recordings, and everything beneath."""

    def __init__(
        self,
        script: Sequence[Said] = SCRIPT,
        *,
        fast: Answer | None = None,
        accurate: Answer | None = None,
        routing: Routing = TRUSTING,
        vad: ScriptedVad | None = None,
        concurrency: int = 4,
        queue_limit: int = 1_000,
        hang_s: float = 10.0,
        adaptive: bool = True,
        **recordings: float,
    ) -> None:
        self.script = script
        self.fast = Engine(script, fast or timed(script))
        self.accurate = Engine(script, accurate, "medium") if accurate else None
        engines = {Tier.FAST: self.fast}
        if self.accurate:
            engines[Tier.ACCURATE] = self.accurate
        self.pool = DecodePool(
            engines, concurrency=concurrency, queue_limit=queue_limit, hang_s=hang_s, adaptive=adaptive
        )
        self.speech = Speech(VadBatcher(vad or ScriptedVad(script)), self.pool, StreamOptions(), routing)
        self.transcriber = Transcriber(self.speech, Recordings(**recordings))  # type: ignore[arg-type]

    @property
    def upload(self) -> io.BytesIO:
        return io.BytesIO(wav(render(self.script, max([s.end_ms for s in self.script], default=0) + 1_000)))

    async def hear(self, upload: io.BytesIO | None = None, **options: object) -> Transcript:
        asked = Options(**options)  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            return await self.transcriber.transcribe(upload or self.upload, asked)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left of any recording."""
        return (
            not self.pool._listeners
            and self.transcriber.active == 0
            and all(self.pool._queue.waiting(tier) == 0 for tier in Tier)
        )

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.002)


@pytest.fixture
async def studios() -> AsyncIterator[Callable[..., Studio]]:
    made: list[Studio] = []

    def make(*arguments: object, **how: object) -> Studio:
        made.append(Studio(*arguments, **how))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for studio in made:
        studio.fast.gate.set()
        if studio.accurate:
            studio.accurate.gate.set()
        await studio.transcriber.drain(5)
        assert studio.is_clean
        await studio.speech.aclose()


def sentences(count: int, apart_ms: int = 2_000) -> list[Said]:
    """Each of four words, 1.2 s long."""
    script: list[Said] = []
    for number in range(count):
        script += said(f"this is number n{number}", 500 + number * (1_200 + apart_ms))
    return script


def failing(error: Exception, times: int = 10**6) -> Answer:
    left = [times]

    def answer(request: DecodeRequest, text: str) -> Hypothesis:
        if left[0]:
            left[0] -= 1
            raise error
        return hypothesis(request, text)

    return answer


def unsure(request: DecodeRequest, text: str) -> Hypothesis:
    return hypothesis(request, text, avg_logprob=-1.0)


# ── What comes out ──


async def test_a_clip_is_one_segment_with_the_figures_of_a_final(studios):
    heard = await studios().hear(word_timestamps=True)
    (only,) = heard.segments
    assert heard.text == only.text == WORDS
    assert (only.start_ms, only.end_ms) == (480, 2_304), "windows of 32 ms that touch its words"
    assert heard.duration_ms == 3_300
    assert only.route.decision is Decision.ACCEPTED
    assert (only.tier, only.model, heard.model, heard.final_model) == (Tier.FAST, "small", "small", "small")
    assert [(w.word, w.start_ms) for w in only.words] == [(s.word, s.start_ms) for s in SCRIPT]
    assert heard.language == "en"
    assert not heard.dropped
    assert not any((heard.is_unsure, heard.fallback_was_used, heard.fallback_failed))


async def test_what_is_asked_for_reaches_the_engine(studios):
    studio = studios()
    await studio.hear(language="de", prompt="Lampen", hotwords="Licht", word_timestamps=True)
    (asked,) = studio.fast.requests
    assert (asked.language, asked.prompt, asked.hotwords, asked.word_timestamps) == (
        "de", "Lampen", "Licht", True,
    )  # fmt: skip
    assert asked.urgency is Urgency.RECORDING
    assert asked.draft is None


async def test_segments_are_told_one_by_one_in_the_order_of_speech(studios):
    script = sentences(5)
    studio = studios(script)

    def slow_at_first(request: DecodeRequest, text: str) -> Hypothesis:
        if request.utterance_id % 2:
            time.sleep(0.1)
        return hypothesis(request, "" if request.utterance_id == 3 else text)

    studio.fast._answer = slow_at_first
    told: list[str] = []
    known: list[int] = []

    def tell(segment: Segment) -> None:
        told.append(segment.text)
        known.append(studio.fast.running + len(studio.fast.requests))

    heard = await studio.transcriber.transcribe(studio.upload, Options(), tell=tell)
    assert told == [segment.text for segment in heard.segments]
    assert len(told) == 4
    assert known[0] < 5, "the first was told before the last was asked for"


async def test_languages_are_those_among_which_is_detected(studios):
    studio = studios()
    await studio.hear(languages=("de", "en"))
    assert studio.fast.requests[0].languages == ("de", "en")
    with pytest.raises(BadRequest, match="languages"):
        await studio.hear(languages=("xx",))


async def test_a_long_recording_is_told_in_order_and_in_media_time(studios):
    script = sentences(6)
    studio = studios(script)

    def slow_at_first(request: DecodeRequest, text: str) -> Hypothesis:
        if request.utterance_id % 2:
            time.sleep(0.1)
        return timed(script)(request, text)

    studio.fast._answer = slow_at_first
    heard = await studio.hear(word_timestamps=True)
    assert heard.text == " ".join(s.word for s in script)
    assert [segment.id for segment in heard.segments] == list(range(6))
    assert [word.start_ms for s in heard.segments for word in s.words] == [s.start_ms for s in script]
    assert all(s.start_ms <= s.words[0].start_ms and s.words[-1].end_ms <= s.end_ms for s in heard.segments)


async def test_two_stretches_are_in_the_pool_at_a_time_and_never_more(studios):
    studio = studios(sentences(8))
    studio.fast.gate.clear()
    hearing = asyncio.create_task(studio.hear())
    await studio.until(lambda: studio.fast.running == 2)
    await asyncio.sleep(0.1)
    assert studio.fast.running == 2
    studio.fast.gate.set()
    assert len((await hearing).segments) == 8
    assert studio.fast.most == 2


async def test_speech_without_end_is_cut_to_the_bound(studios):
    script = said(" ".join(f"w{i}" for i in range(40)))
    studio = studios(script, segment_s=3)
    heard = await studio.hear()
    assert len(heard.segments) > 3
    assert max(len(request.audio) for request in studio.fast.requests) <= 3 * SAMPLE_RATE
    assert sorted(heard.text.split()) == sorted(s.word for s in script), "no word twice, none lost"


async def test_silence_has_no_text(studios):
    heard = await studios([]).hear(io.BytesIO(wav(np.zeros(3 * SAMPLE_RATE, np.float32))))
    assert (heard.text, heard.language, heard.segments, heard.dropped) == ("", None, (), ())
    assert (heard.duration_ms, heard.final_model) == (3_000, "small")


async def test_a_word_that_is_hardly_any_is_dropped_without_a_decode(studios):
    class Brief(ScriptedVad):
        def probability(self, position: int) -> float:
            return 0.95 if 20 * 512 <= position < 22 * 512 else 0.02

    studio = studios([], vad=Brief([]))
    heard = await studio.hear(io.BytesIO(wav(np.zeros(3 * SAMPLE_RATE, np.float32))))
    (only,) = heard.dropped
    assert only.reason is DropReason.TOO_SHORT
    assert only.decision is None
    assert not studio.fast.requests


async def test_what_was_never_said_is_dropped(studios):
    heard = await studios(fast=lambda r, _: hypothesis(r, "thank you", no_speech_prob=0.5)).hear()
    assert [d.reason for d in heard.dropped] == [DropReason.KNOWN_PHRASE]
    assert heard.text == ""


# ── Routing ──


async def test_what_is_doubted_goes_to_the_accurate_tier_when_the_fast_one_has_answered(studios):
    studio = studios(fast=unsure, accurate=hypothesis, routing=Routing(), concurrency=1)
    studio.accurate.gate.clear()
    hearing = asyncio.create_task(studio.hear())
    await studio.until(lambda: studio.accurate.running == 1)
    assert studio.fast.running == 0
    assert (await studio.transcriber.transcribe(studio.upload, Options(cut=False))).text == WORDS, (
        "others are served meanwhile"
    )
    studio.accurate.gate.set()
    heard = await hearing
    (only,) = heard.segments
    assert only.route.decision is Decision.REDECODED
    assert only.route.reasons == (Reason.LOW_LOGPROB,)
    assert only.route.fast is not None
    assert (only.tier, heard.final_model) == (Tier.ACCURATE, "medium")
    assert heard.fallback_was_used
    assert heard.is_unsure


async def test_the_transcriber_may_have_a_routing_of_its_own(studios):
    studio = studios(fast=unsure, accurate=hypothesis, routing=Routing())
    trusting = Transcriber(studio.speech, Recordings(), routing=TRUSTING)
    heard = await trusting.transcribe(studio.upload, Options())
    await trusting.drain(1)
    assert heard.decisions == (Decision.ACCEPTED,)
    assert not studio.accurate.requests


async def test_a_draft_is_checked_where_that_is_asked_for(studios):
    def verify(request: DecodeRequest, text: str) -> Hypothesis:
        return hypothesis(request, text, verified=request.draft is not None)

    routing = Routing(min_words=99, redecode_mode=RedecodeMode.VERIFY)
    studio = studios(accurate=verify, routing=routing)
    heard = await studio.hear()
    assert heard.decisions == (Decision.VERIFIED,)
    assert heard.fallback_was_used
    assert studio.accurate.requests[0].draft.text == WORDS


async def test_where_the_fast_tier_fails_the_accurate_one_stands_in(studios):
    studio = studios(sentences(3), fast=failing(DecodeError("no memory")), accurate=hypothesis)
    heard = await studio.hear()
    assert heard.decisions == (Decision.REDECODED,) * 3
    assert {s.route.reasons for s in heard.segments} == {(Reason.DECODE_ERROR,)}
    assert {s.route.fast for s in heard.segments} == {None}


async def test_where_the_accurate_tier_fails_the_fast_text_stands_and_says_so(studios):
    studio = studios(fast=unsure, accurate=failing(DecodeError("503 from there")), routing=Routing())
    heard = await studio.hear()
    assert heard.text == WORDS
    assert heard.decisions == (Decision.REDECODE_FAILED,)
    assert heard.fallback_failed
    assert heard.fallback_error == "503 from there"


async def test_where_both_fail_it_is_told_what_is_lost(studios):
    error = failing(DecodeError("broken"))
    heard = await studios(sentences(2), fast=failing(DecodeError("no memory"), 1), accurate=error).hear()
    assert [s.text for s in heard.segments] == ["this is number n1"]
    (lost,) = heard.dropped
    assert (lost.reason, lost.decision) == (DropReason.DECODE_FAILED, Decision.REDECODE_FAILED)
    assert heard.fallback_failed


async def test_where_there_is_nobody_to_stand_in_the_recording_fails(studios):
    studio = studios(sentences(5), fast=failing(DecodeError("no memory")))
    with pytest.raises(DecodeFailed, match="no memory") as caught:
        await studio.hear()
    assert (caught.value.status, caught.value.type) == (500, "decode_failed")
    assert len(studio.fast.requests) < 5, "the rest is not tried"


async def test_an_engine_that_breaks_fails_what_it_has_and_what_comes(studios):
    studio = studios(sentences(2), fast=failing(EngineBroken("CUDA error")))
    for _ in range(2):
        with pytest.raises(DecodeFailed):
            await studio.hear()


async def test_an_engine_that_hangs_is_not_waited_for(studios, monkeypatch):
    studio = studios(hang_s=0.2)
    studio.fast.gate.clear()
    with pytest.raises(DecodeFailed, match="hangs"):
        await studio.hear()
    studio.fast.gate.set()


async def test_the_bounds_of_the_queue_are_for_who_speaks(studios):
    studio = studios(
        sentences(2), fast=unsure, accurate=hypothesis, routing=Routing(), queue_limit=1, concurrency=1,
        adaptive=False,
    )  # fmt: skip
    studio.accurate.gate.clear()
    hearing = [asyncio.create_task(studio.hear()) for _ in range(4)]
    await studio.until(lambda: studio.pool._queue.waiting(Tier.FAST) == 0 and studio.fast.running == 0)
    studio.accurate.gate.set()
    heard = await asyncio.gather(*hearing)
    decisions = [decision for transcript in heard for decision in transcript.decisions]
    assert decisions == [Decision.REDECODED] * 8


async def test_time_is_added_up_over_all_stretches(studios):
    def slow(request: DecodeRequest, text: str) -> Hypothesis:
        time.sleep(0.05)
        return unsure(request, text)

    studio = studios(sentences(3), fast=slow, accurate=slow, routing=Routing())
    spent = (await studio.hear()).spent
    assert 150 <= spent.primary_infer_ms < 1_000
    assert 150 <= spent.fallback_infer_ms < 1_000
    assert spent.queue_ms < 1_000


# ── As it is ──


@pytest.mark.parametrize("text", ["", "thank you", "one one one one one one one one one one one one"])
async def test_what_is_not_cut_is_not_doubted(studios, text):
    studio = studios(
        fast=lambda r, _: hypothesis(r, text, avg_logprob=-3.0, no_speech_prob=0.9, compression_ratio=9.0),
        accurate=hypothesis,
        routing=Routing(),
    )
    heard = await studio.hear(cut=False)
    (only,) = heard.segments
    assert only.text == text
    assert (only.avg_logprob, only.no_speech_prob, only.compression_ratio) == (-3.0, 0.9, 9.0)
    assert (only.start_ms, only.end_ms) == (0, heard.duration_ms) == (0, 3_300)
    assert only.route.decision is Decision.ACCEPTED
    assert not heard.dropped
    assert not studio.accurate.requests
    np.testing.assert_allclose(
        studio.fast.requests[0].audio, render(SCRIPT, 3_300), atol=1e-4
    )  # and all of it is heard


async def test_what_is_not_cut_is_no_longer_than_a_model_hears(studios):
    long = io.BytesIO(wav(np.zeros(31 * SAMPLE_RATE, np.float32)))
    with pytest.raises(AudioTooLong, match="30 s"):
        await studios().hear(long, cut=False)


async def test_what_is_not_cut_fails_where_it_cannot_be_decoded(studios):
    with pytest.raises(DecodeFailed, match="no memory"):
        await studios(fast=failing(DecodeError("no memory")), accurate=hypothesis).hear(cut=False)


# ── What is refused ──


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"language": "xx"}, "de, en"),
        ({"prompt": "a" * 1_001}, "prompt .* 1000"),
        ({"hotwords": "\ud800"}, "hotwords"),
    ],
)
async def test_wrong_options_are_named_and_nothing_is_read(studios, options, words):
    upload = io.BytesIO(b"x")
    with pytest.raises(BadRequest, match=words):
        await studios().hear(upload, **options)
    assert upload.tell() == 0


async def test_bad_audio_is_refused_and_what_was_begun_is_forgotten(studios):
    script = sentences(4)
    studio = studios(script)
    studio.fast.gate.clear()
    flac = encoded(render(script, 14_000), "flac", "flac")
    with pytest.raises(BadAudio, match=r"cut off|damaged"):
        await studio.hear(io.BytesIO(flac[: len(flac) // 2]))
    assert studio.is_clean
    studio.fast.gate.set()


async def test_a_long_recording_is_refused_when_it_turns_out_to_be(studios):
    studio = studios(sentences(8), max_audio_s=10)
    with pytest.raises(AudioTooLong):
        await studio.hear()


async def test_a_detector_that_fails_is_our_fault(studios, caplog):
    class Deaf(ScriptedVad):
        def detect(self, states: Sequence[DetectorState], windows: object) -> list[float]:
            raise RuntimeError("what was said")

    with caplog.at_level(logging.ERROR), pytest.raises(DecodeFailed, match="detector"):
        await studios(vad=Deaf([])).hear()
    assert "detector failed" in caplog.text
    assert "what was said" not in caplog.text.replace('raise RuntimeError("what was said")', "")


async def test_an_answer_that_never_comes_ends_the_recording_too(studios, monkeypatch):
    monkeypatch.setattr(recording_room, "ANSWER_S", 0.1)
    studio = studios()
    monkeypatch.setattr(studio.pool, "submit", lambda request: None)
    with pytest.raises(DecodeFailed, match="does not answer"):
        await studio.hear()


class Slow(io.BytesIO):
    """A file whose end takes its time."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.gate = threading.Event()
        self.waits = False

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 60_000:
            self.waits = True
            self.gate.wait(10)
        return super().read(size)


async def test_a_recording_that_takes_too_long_to_read_is_refused(studios, monkeypatch):
    monkeypatch.setattr(recording_room, "READ_S", 0.1)
    monkeypatch.setattr(recording_room, "LEAVE_S", 0.1)
    upload = Slow(wav(np.zeros(20 * SAMPLE_RATE, np.float32)))
    with pytest.raises(BadAudio, match="longer to read"):
        await studios([]).hear(upload)
    upload.gate.set()


# ── The end ──


async def test_when_the_client_goes_the_rest_is_forgotten(studios):
    studio = studios(sentences(8), concurrency=1)
    studio.fast.gate.clear()
    gone = False
    upload = studio.upload
    hearing = asyncio.create_task(studio.transcriber.transcribe(upload, Options(), is_gone=lambda: gone))
    await studio.until(lambda: studio.fast.running == 1 and studio.pool._queue.waiting(Tier.FAST) == 1)
    gone = True
    with pytest.raises(Gone):
        await hearing
    assert studio.pool._queue.waiting(Tier.FAST) == 0
    assert studio.is_clean
    upload.close()  # nobody reads it any more
    studio.fast.gate.set()
    await studio.until(lambda: studio.fast.running == 0)
    assert len(studio.fast.requests) == 1


@pytest.mark.parametrize("when", ["reading", "decoding"])
async def test_a_cancelled_recording_leaves_nothing_behind(studios, when):
    studio = studios(sentences(8))
    upload = Slow(studio.upload.getvalue())
    if when == "decoding":
        upload.gate.set()
        studio.fast.gate.clear()
    hearing = asyncio.create_task(studio.hear(upload))
    await studio.until(lambda: upload.waits if when == "reading" else studio.fast.running == 2)
    hearing.cancel()
    await asyncio.sleep(0)
    upload.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await hearing
    assert studio.is_clean
    upload.close()
    gc.collect()  # what nobody asked for complains when it is collected


async def test_one_failing_recording_is_nothing_to_the_others(studios):
    studio = studios(sentences(3))
    results = await asyncio.gather(
        *(studio.hear(io.BytesIO(b"no sound") if i % 2 else None) for i in range(10)),
        return_exceptions=True,
    )
    assert all(isinstance(r, BadAudio if i % 2 else Transcript) for i, r in enumerate(results))


async def test_draining_lets_what_is_under_way_end(studios):
    studio = studios()
    studio.fast.gate.clear()
    hearing = asyncio.create_task(studio.hear())
    await studio.until(lambda: studio.fast.running == 1)
    draining = asyncio.create_task(studio.transcriber.drain(10))
    await asyncio.sleep(0.01)
    assert not draining.done()
    with pytest.raises(Unavailable):
        await studio.hear()
    studio.fast.gate.set()
    assert (await hearing).text == WORDS
    await draining
    assert studio.transcriber.active == 0


async def test_draining_gives_up_what_takes_too_long(studios):
    studio = studios()
    studio.fast.gate.clear()
    hearing = asyncio.create_task(studio.hear())
    await studio.until(lambda: studio.fast.running == 1)
    await studio.transcriber.drain(0.05)
    with pytest.raises(Unavailable):
        await hearing
    studio.fast.gate.set()


async def test_a_detector_that_is_closed_under_it_is_a_server_that_shuts_down(studios):
    studio = studios()
    studio.speech.vad.close()
    with pytest.raises(Unavailable):
        await studio.hear()


@pytest.mark.usefixtures("no_garbage_collection")
async def test_the_loop_is_never_held_up(studios):
    """No turn of it takes 5 ms of its thread's own time, whatever else this machine does."""
    studio = studios(sentences(30))
    upload = studio.upload
    turns, is_over = list[float](), False

    async def watch() -> None:
        while not is_over:
            before = time.thread_time()
            await asyncio.sleep(0)
            turns.append(time.thread_time() - before)

    watching = asyncio.create_task(watch())
    await studio.hear(upload)
    is_over = True
    await watching
    assert len(turns) > 100
    assert sorted(turns)[-2] < 0.005, "the very first may pay for what is made once"


async def test_samples_are_counted_to_the_last(studios):
    audio = render(SCRIPT, 3_300)[: 3 * SAMPLE_RATE + 77]
    heard = await studios().hear(io.BytesIO(wav(audio)))
    assert heard.duration_ms == samples_to_ms(3 * SAMPLE_RATE + 77)
