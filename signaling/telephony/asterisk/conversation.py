"""What one AudioSocket connection says, from its first byte to its last. Pure.

::

    state      ends with
    nameless   ID: the call's UUID; anything else is no AudioSocket
    talking    HANG_UP, ERROR, what is no frame, or the end of the stream, which is as good as HANG_UP
    over       –

Asterisk sends what it hears without asking whether anyone listens, and needs no audio from us: a caller to
whom nothing is sent hears nothing.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from signaling.audio_format import AudioFormat
from signaling.telephony.asterisk.frames import ID_BYTES, MAX_PAYLOAD, RATES, Frame, FrameReader, Kind
from signaling.telephony.asterisk.label_check import LabelCheck

__all__ = ["Act", "Conversation", "Hear", "Identified", "Mislabelled", "Over", "Pressed"]

NARROW = 8_000
"""Hz: the one rate whose label is not to be trusted."""


@dataclass(frozen=True, slots=True)
class Identified:
    """Which call it is."""

    id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Hear:
    """Audio, as it came: whole samples."""

    form: AudioFormat
    data: bytes


@dataclass(frozen=True, slots=True)
class Pressed:
    """A key, as its character."""

    digit: str


@dataclass(frozen=True, slots=True)
class Mislabelled:
    """The audio is not what its label says; from here on it is read as this encoding."""

    encoding: str


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing comes any more."""

    reason: str
    """``hangup`` (said, or by the end of the stream), ``error`` (of Asterisk), ``malformed`` (no
    AudioSocket)."""


Act = Identified | Hear | Pressed | Mislabelled | Over


class Conversation:
    """See above. How the stream is cut makes no difference."""

    def __init__(self) -> None:
        self._reader = FrameReader(limit=ID_BYTES)
        self._label = LabelCheck()
        self._is_named = False
        self.frames = 0
        """So many have come."""
        self.is_over = False
        """Whether :class:`Over` has been said."""

    def receive(self, data: bytes) -> list[Act]:
        """Some bytes."""
        acts: list[Act] = []
        if self.is_over:
            return acts
        self._reader.receive(data)
        while not self.is_over and (frame := self._reader.next_frame()):
            self.frames += 1
            if self._is_named:
                self._take(frame, acts)
            else:
                self._take_name(frame, acts)
        if self._reader.is_broken and not self.is_over:
            self._end("malformed", acts)
        return acts

    def finish(self) -> list[Act]:
        """The end of the stream. The last frame may be cut off, and counts as far as it goes."""
        acts: list[Act] = []
        if self.is_over:
            return acts
        last = self._reader.flush()
        if last and self._is_named and last.kind in RATES:
            self._hear(last, acts)
        self._end("hangup" if self._is_named else "malformed", acts)
        return acts

    def _take_name(self, frame: Frame, acts: list[Act]) -> None:
        if frame.kind != Kind.ID or len(frame.payload) != ID_BYTES:
            self._end("malformed", acts)
            return
        self._is_named = True
        self._reader.limit = MAX_PAYLOAD
        acts.append(Identified(uuid.UUID(bytes=frame.payload)))

    def _take(self, frame: Frame, acts: list[Act]) -> None:
        if frame.kind in RATES:
            self._hear(frame, acts)
        elif frame.kind == Kind.DTMF and len(frame.payload) == 1:
            acts.append(Pressed(frame.payload.decode("latin-1")))
        elif frame.kind == Kind.HANG_UP:
            self._end("hangup", acts)
        elif frame.kind == Kind.ERROR:
            self._end("error", acts)
        # What is not known yet is skipped: its length says how far.

    def _hear(self, frame: Frame, acts: list[Act]) -> None:
        rate = RATES[frame.kind]
        if not frame.payload:
            return
        if rate == NARROW:
            known = self._label.encoding
            self._hear_narrow(self._label.take(frame.payload), acts, was_known=known is not None)
        else:
            _hand_on(AudioFormat("pcm_s16le", rate, 1), frame.payload, acts)

    def _hear_narrow(self, payloads: list[bytes], acts: list[Act], *, was_known: bool) -> None:
        encoding = self._label.encoding
        if encoding is None:
            return
        if not was_known and encoding != "pcm_s16le":
            acts.append(Mislabelled(encoding))
        for payload in payloads:
            _hand_on(AudioFormat(encoding, NARROW, 1), payload, acts)

    def _end(self, reason: str, acts: list[Act]) -> None:
        if self._label.encoding is None:
            self._hear_narrow(self._label.flush(), acts, was_known=False)
        self.is_over = True
        acts.append(Over(reason))


def _hand_on(form: AudioFormat, payload: bytes, acts: list[Act]) -> None:
    whole = len(payload) - len(payload) % form.frame_bytes
    if whole:
        acts.append(Hear(form, payload[:whole]))
