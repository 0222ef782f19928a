"""What a session tells of itself elsewhere, with a real session around a script."""

from __future__ import annotations

import asyncio
import logging

import numpy as np
import pytest

from rtc_stt.config import Routing
from rtc_stt.decode_pool import DecodePool
from rtc_stt.events import Event, TranscriptFinal
from rtc_stt.hypothesis import Tier
from rtc_stt.logs import bind
from rtc_stt.session import Session, Speech
from rtc_stt.testing import ScriptedEngine, ScriptedVad, render
from rtc_stt.vad import VadBatcher
from tests.harness import said
from tests.sink import Sink

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
IDS = {"request_id": "r1", "traceparent": f"00-{TRACE}-{CALLER}-01"}
DOUBTING = Routing(min_words=10)


async def speak(
    sink: Sink | None, *, log_transcripts: bool = False
) -> tuple[Session, list[Event], dict[Tier, ScriptedEngine]]:
    """One utterance, decoded by both tiers, in a session that a request with these ids began."""
    script = said("secret words")
    engines = {tier: ScriptedEngine(script, name=tier) for tier in Tier}
    speech = Speech(
        VadBatcher(ScriptedVad(script)),
        DecodePool(engines, concurrency=1),
        routing=DOUBTING,
        sink=sink,
        log_transcripts=log_transcripts,
    )
    told: list[Event] = []
    with bind(**IDS):
        session = Session(speech, told.append, transport="file", session_id="s1")
    session.start()
    audio = render(script, 2_000)
    for piece in np.split(audio, len(audio) // 320):
        session.receive_audio(piece)
        await asyncio.sleep(0)
    session.finish("end_of_file")
    async with asyncio.timeout(10):
        await session.ended
    await speech.aclose()
    return session, told, engines


async def test_what_another_service_is_asked_has_the_ids_and_the_span_that_follows() -> None:
    sink = Sink()
    _, told, engines = await speak(sink)
    assert [event.tier for event in told if isinstance(event, TranscriptFinal)] == [Tier.ACCURATE]
    (asked,) = {(r.request_id, r.traceparent) for r in engines[Tier.ACCURATE].requests}
    (redecode,) = [span for span in sink.spans if span.name == "redecode"]
    assert asked == ("r1", redecode.context.traceparent)
    (turn,) = [span for span in sink.spans if span.name == "turn"]
    assert (turn.context.trace_id, turn.parent_id) == (TRACE, CALLER)
    for span in sink.spans:
        assert turn.start <= span.start <= span.end <= turn.end
    assert {span.name for span in sink.spans} == {
        *("turn", "speech", "endpointing", "queue", "decode", "redecode", "send")
    }
    assert "secret" not in repr(sink.spans)


async def test_without_spans_the_trace_of_the_client_goes_on_all_the_same() -> None:
    _, _, engines = await speak(None)
    asked = {(r.request_id, r.traceparent) for r in engines[Tier.ACCURATE].requests}
    assert asked == {("r1", IDS["traceparent"])}


@pytest.mark.parametrize("wanted", [False, True])
async def test_texts_are_logged_only_where_they_are_wanted(
    caplog: pytest.LogCaptureFixture, wanted: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    await speak(None, log_transcripts=wanted)
    assert ("secret words" in caplog.text) is wanted
    ids = [record.__dict__["ids"] for record in caplog.records if record.name == "rtc_stt.session"]
    assert len(ids) >= 2
    assert all(of["session_id"] == "s1" and of["request_id"] == "r1" for of in ids)
