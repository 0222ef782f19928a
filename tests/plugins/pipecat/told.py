"""Events as a session tells them, in one line each; and whole conversations as hypothesis draws them."""

from __future__ import annotations

from hypothesis import strategies as st

from rtc_stt import testing
from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    SessionStarted,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)

__all__ = [
    "conversations",
    "dropped",
    "eager",
    "final",
    "finalized",
    "partial",
    "resumed",
    "session",
    "start",
    "stop",
]


def session(name: str = "one") -> SessionStarted:
    return SessionStarted(at_ms=0, session_id=name, resume_token="secret")


def start(number: int) -> SpeechStarted:
    return SpeechStarted(at_ms=0, utterance_id=number, audio_start_ms=0)


def partial(number: int, text: str) -> TranscriptPartial:
    return TranscriptPartial(
        at_ms=0, utterance_id=number, revision=1, text=text, stable_chars=0, audio_end_ms=0, language="en"
    )


def eager(number: int, text: str) -> TranscriptEager:
    return TranscriptEager(at_ms=0, utterance_id=number, text=text)


def resumed(number: int) -> SpeechResumed:
    return SpeechResumed(at_ms=0, utterance_id=number)


def stop(number: int) -> SpeechStopped:
    return SpeechStopped(at_ms=0, utterance_id=number, audio_end_ms=0)


def final(number: int, text: str) -> TranscriptFinal:
    return testing.final(text, number)


def dropped(number: int) -> UtteranceDropped:
    return UtteranceDropped(at_ms=0, utterance_id=number, reason=DropReason.NO_SPEECH)


def finalized(number: int | None = None) -> Finalized:
    return Finalized(at_ms=0, id="x", utterance_id=number)


@st.composite
def conversations(draw: st.DrawFn) -> list[Event]:
    """Utterances one after the other, each with its conclusion, which may come while the next is spoken."""
    texts = st.sampled_from(["Book a table.", "book a table", "no", "", "Two, please!"])
    told: list[Event] = [session()]
    due: list[int] = []  # stopped, and not concluded

    def conclude() -> Event:
        number = due.pop(0)
        return final(number, draw(texts)) if draw(st.integers(0, 3)) else dropped(number)

    for number in range(1, draw(st.integers(1, 5)) + 1):
        told.append(start(number))
        for _ in range(draw(st.integers(0, 4))):
            if due and draw(st.booleans()):
                told.append(conclude())
            told.append(partial(number, draw(texts)))
            if draw(st.booleans()):
                told.append(eager(number, draw(texts)))
                if draw(st.booleans()):
                    told.append(resumed(number))
        told.append(stop(number))
        due.append(number)
        while due and draw(st.integers(0, 2)):
            told.append(conclude())
    while due:
        told.append(conclude())
    return told
