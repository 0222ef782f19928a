"""Our events in the words of the benchmark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt import testing
from rtc_stt.bench.turns.targets.ours import configuration, tell
from rtc_stt.bench.turns.told import Dropped, Eager, Endpoint, Failed, Final, Partial, Resumed
from rtc_stt.config import StreamOptions, change_stream_options
from rtc_stt.events import (
    Decision,
    DropReason,
    Event,
    Pong,
    Route,
    SessionEnded,
    SessionError,
    SessionWarning,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)


def final(decision: Decision) -> TranscriptFinal:
    return testing.final("yes", 3, route=Route(decision))


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (
            TranscriptPartial(
                at_ms=9,
                utterance_id=3,
                revision=1,
                text="ye s",
                stable_chars=2,
                audio_end_ms=7,
                language="en",
            ),
            Partial("ye s", 2, "3", 7),
        ),
        (TranscriptEager(at_ms=9, utterance_id=3, text="yes"), Eager("yes", "3")),
        (SpeechResumed(at_ms=9, utterance_id=3), Resumed("3")),
        (SpeechStopped(at_ms=9, utterance_id=3, audio_end_ms=7), Endpoint("3")),
        (UtteranceDropped(at_ms=9, utterance_id=3, reason=DropReason.NO_SPEECH), Dropped("no_speech", "3")),
        (SessionError(at_ms=9, code="overloaded", message="m", fatal=True), Failed("error overloaded")),
        (SessionEnded(at_ms=9, reason="expired"), Failed("the session ended: expired")),
        (SessionError(at_ms=9, code="odd", message="m", fatal=False), None),
        (SessionWarning(at_ms=9, code="odd", message="m"), None),
        (SpeechStarted(at_ms=9, utterance_id=3, audio_start_ms=1), None),
        (Pong(at_ms=9, id="1"), None),
    ],
)
def test_what_an_event_says(event: Event, told):
    assert tell(event) == told


@pytest.mark.parametrize("decision", list(Decision))
def test_a_final_is_degraded_where_it_should_have_been_decoded_again(decision):
    failed = {Decision.REDECODE_FAILED, Decision.REDECODE_TIMEOUT, Decision.REDECODE_SHED}
    assert tell(final(decision)) == Final("yes", "3", decision in failed)


@given(st.integers(100, 5_000), st.sampled_from([None, "en"]))
def test_every_hangover_is_taken_by_a_session(hangover_ms, language):
    before = StreamOptions()
    changes = configuration(hangover_ms, language)
    options, problems = change_stream_options(before, before, changes, frozenset({"en"}))
    assert not problems
    assert options.endpointing.min_silence_ms == hangover_ms
    assert options.endpointing.speculate_after_ms <= hangover_ms
    assert options.language == language
