"""A conversation in OpenAI's words without a socket: what either side says, and what comes of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from rtc_stt import testing
from rtc_stt.commands import Command, Configure, Finalize
from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.hypothesis import Word
from signaling.dialects.dialect import Act, Ask, Beginning, Hear, Say
from signaling.dialects.openai.realtime import Realtime

__all__ = [
    "MANUAL",
    "Talk",
    "dropped",
    "final",
    "finalized",
    "kinds",
    "partial",
    "started",
    "stopped",
    "update",
]

TRANSCRIPTION = "conversation.item.input_audio_transcription."

MANUAL = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}

Message = dict[str, Any]


class Talk:
    """One client, one session that a test plays."""

    def __init__(self, *, text: str = "", begun: bool = True, **how: Any) -> None:
        self.dialect = Realtime(Beginning(text=text), **how)
        self.said: list[Message] = []
        self.asked: list[Command] = []
        self.heard = b""
        self._note(self.dialect.begin())
        if begun:
            self.tell(SessionStarted(at_ms=0, session_id="s", resume_token="t", models={"fast": "tiny"}))

    def _note(self, acts: Sequence[Act]) -> list[Message]:
        said = []
        for act in acts:
            match act:
                case Say(text):
                    text.encode()  # it can be sent
                    said.append(json.loads(text))
                case Ask(command):
                    self.asked.append(command)
                case Hear(_, data):
                    self.heard += data
                case _:
                    raise AssertionError(act)
        self.said += said
        return said

    def tell(self, *events: Event) -> list[Message]:
        """What the client hears when the session tells these."""
        return [message for event in events for message in self._note(self.dialect.tell(event))]

    def send(self, kind: str, **body: Any) -> list[Message]:
        """What it hears when it says that."""
        return self._note(self.dialect.receive(json.dumps({"type": kind, **body})))

    def send_raw(self, message: str | bytes) -> list[Message]:
        return self._note(self.dialect.receive(message))

    def append(self, milliseconds: int = 200) -> list[Message]:
        """Audio at 24 kHz."""
        audio = base64.b64encode(bytes(48 * milliseconds)).decode()
        return self.send("input_audio_buffer.append", audio=audio)

    def commit(self) -> str:
        """The id of the ``finalize`` that it comes to."""
        self.send("input_audio_buffer.commit")
        return self.finalize_id

    @property
    def finalize_id(self) -> str:
        """Of the last one asked for."""
        return next(c.id for c in reversed(self.asked) if isinstance(c, Finalize))

    @property
    def configured(self) -> Any:
        """What was last configured."""
        return next(c.changes for c in reversed(self.asked) if isinstance(c, Configure))

    def deltas(self, item: str) -> str:
        """What they make up."""
        told = [m for m in self.said if m["type"] == TRANSCRIPTION + "delta" and m["item_id"] == item]
        return "".join(m["delta"] for m in told)

    def completed(self, item: str) -> list[str]:
        """Its transcripts: one, at most."""
        return [
            m["transcript"]
            for m in self.said
            if m["type"] == TRANSCRIPTION + "completed" and m["item_id"] == item
        ]


def kinds(said: Sequence[Message]) -> list[str]:
    return [m["type"].removeprefix("conversation.item.").removeprefix("input_audio_") for m in said]


def update(talk: Talk, session: Any, **more: Any) -> list[Message]:
    """In the words of today."""
    return talk.send("session.update", session=session, **more)


def started(number: int, at: int = 0) -> SpeechStarted:
    return SpeechStarted(at_ms=at, utterance_id=number, audio_start_ms=at)


def partial(number: int, stable: str, rest: str = "") -> TranscriptPartial:
    return TranscriptPartial(
        at_ms=0,
        utterance_id=number,
        revision=1,
        text=stable + rest,
        stable_chars=len(stable),
        audio_end_ms=0,
        language="en",
    )


def stopped(number: int, at: int = 1_000) -> SpeechStopped:
    return SpeechStopped(at_ms=at, utterance_id=number, audio_end_ms=at)


def final(number: int, text: str, *words: Word) -> TranscriptFinal:
    return testing.final(text, number, words=words, audio_end_ms=1_000)


def dropped(number: int, reason: DropReason = DropReason.NO_SPEECH) -> UtteranceDropped:
    return UtteranceDropped(at_ms=0, utterance_id=number, reason=reason)


def finalized(name: str, number: int | None = None) -> Finalized:
    return Finalized(at_ms=0, id=name, utterance_id=number)
