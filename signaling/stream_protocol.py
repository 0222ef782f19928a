"""What goes over ``GET /v1/stream`` beside events and commands: the first message, audio, close codes. Pure.

::

    client                                             server
    {"type":"configure","audio":{…}, options…}   ──▶
                                                 ◀──   session.started
                                                 ◀──   {"type":"received","samples":0}
    binary: audio, any length                    ──▶
    text: commands                               ──▶
                                                 ◀──   events, and now and then how much audio was received
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rtc_stt.errors import BadRequest
from signaling.audio_format import MAX_RATE, MIN_RATE, SAMPLE_BYTES, AudioFormat
from signaling.calls import Resume
from signaling.resume import read_resume

__all__ = [
    "CONFIGURE_TIMEOUT_S",
    "MAX_AUDIO_BYTES",
    "Flow",
    "Opening",
    "close_code",
    "read_opening",
    "received",
]

CONFIGURE_TIMEOUT_S = 10.0
"""From the upgrade to the first message."""

MAX_AUDIO_BYTES = 256 * 1024
"""Longest binary message."""

MAX_OPENING_CHARS = 16_384
"""Longest first message, in characters; as of every command."""

MAX_SAMPLES = 2**40
"""That anyone has sent."""

SPEED = 4.0
"""How much faster than real time audio is taken for long. Enough for a client to catch up after an outage,
and little enough that one who sends a file does not crowd out those who speak."""

BURST_S = 10.0
"""Audio that is taken at once after a rest."""

MESSAGE_RATE, MESSAGE_BURST = 200.0, 400.0
"""Audio messages a second, likewise: twice what 10 ms a message are."""

# ── The first message ────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Opening:
    """The first message, understood."""

    audio: AudioFormat
    options: Mapping[str, object]
    """What else it configures, as the command does; not looked at here."""
    resume: Resume | None = None
    replay: bool = False
    """Whether the client keeps its audio and sends again what did not arrive."""
    replay_from: int | None = None
    """Sample of each channel from which on it has audio that is in no final, as far as it says so: where the
    session is gone on with by another gateway, which has heard nothing of it."""


def read_opening(message: str | bytes) -> Opening:
    """Read what a client says first.

    Raises:
        BadRequest: binary, no JSON, no ``configure``, or not audio that is taken here; says what to send.
    """
    body = _read_object(message)
    if body.pop("type", None) != "configure":
        raise BadRequest('the first message is {"type": "configure", "audio": {…}}')
    audio = _read_audio(body.pop("audio", None))
    replay = body.pop("replay", False)
    if not isinstance(replay, bool):
        raise BadRequest("replay is true or false")
    replay_from = body.pop("replay_from", None)
    if replay_from is not None and not (type(replay_from) is int and 0 <= replay_from <= MAX_SAMPLES):
        raise BadRequest("replay_from is the number of a sample, from 0")
    resume = read_resume(body.pop("resume_token", None), body.pop("resume_from", None))
    return Opening(audio, body, resume, replay, replay_from)


def _read_object(message: str | bytes) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise BadRequest('audio comes after the first message, which is {"type": "configure", "audio": {…}}')
    if len(message) > MAX_OPENING_CHARS:
        raise BadRequest(f"the first message has at most {MAX_OPENING_CHARS} characters")
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        raise BadRequest("the first message is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the first message is one JSON object")
    return body


def _read_audio(told: object) -> AudioFormat:
    if not isinstance(told, dict):
        raise BadRequest('configure needs audio: {"encoding", "sample_rate", "channels"}')
    if unknown := set(told) - {"encoding", "sample_rate", "channels"}:
        raise BadRequest(f"audio has no field {min(unknown)[:64]!r}")
    encoding, rate, channels = told.get("encoding"), told.get("sample_rate"), told.get("channels", 1)
    if not isinstance(encoding, str) or encoding not in SAMPLE_BYTES:
        raise BadRequest(f"audio.encoding is one of {', '.join(SAMPLE_BYTES)}")
    if type(rate) is not int or not MIN_RATE <= rate <= MAX_RATE:
        raise BadRequest(f"audio.sample_rate is a whole number from {MIN_RATE} to {MAX_RATE}")
    if type(channels) is not int or channels not in (1, 2):
        raise BadRequest("audio.channels is 1 or 2")
    return AudioFormat(encoding, rate, channels)


# ── Audio ────────────────────────────────────────────────────────────


def received(samples: int) -> str:
    """A message that is no event: so many samples of each channel have arrived since the session began."""
    return f'{{"type":"received","samples":{samples}}}'


class Flow:
    """How long to let audio wait that comes faster than it may. ``now``: monotonic seconds.

    What waits is not read, so it stays with its sender, by TCP.
    """

    def __init__(self) -> None:
        self._seconds, self._messages = BURST_S, MESSAGE_BURST
        self._at: float | None = None

    def wait_s(self, seconds: float, now: float, *, messages: int = 0) -> float:
        """Note that so much audio is taken, in so many messages; gives the time to wait before more is."""
        away = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._seconds = min(BURST_S, self._seconds + away * SPEED) - seconds
        self._messages = min(MESSAGE_BURST, self._messages + away * MESSAGE_RATE) - messages
        return max(0.0, -self._seconds / SPEED, -self._messages / MESSAGE_RATE)


# ── The end ────────────────────────────────────────────────────────────

_CLOSE_CODES: Mapping[str | None, int] = {
    "stopped": 1000,
    "deleted": 1000,
    "closed": 1000,
    "ended": 1000,
    "hung_up": 1000,
    "max_duration": 1000,
    "drained": 1001,
    "abuse": 1008,
    "client_does_not_read": 1008,
    "overloaded": 1013,
    "unavailable": 1013,
    "no_room": 1013,
    "bad_request": 4400,
    "malformed": 4400,
    "unauthorized": 4401,
    "token_wrong": 4401,
    "token_expired": 4401,
    "token_replayed": 4401,
    "session_gone": 4404,
    "call_gone": 4404,
    "quota_exceeded": 4429,
    "configure_timeout": 4408,
    "replaced": 4409,
    "too_many": 4429,
}


def close_code(reason: str) -> int:
    """With which code a WebSocket is closed for a reason (RFC 6455 §7.4); 1011 where it is our fault."""
    return _CLOSE_CODES.get(reason, 1011)
