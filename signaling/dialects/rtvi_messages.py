"""The messages of RTVI and of the SmallWebRTC transport that carries it: read and written. Pure.

They are those of ``@pipecat-ai/client-js`` 1.13 and ``@pipecat-ai/small-webrtc-transport`` 1.10 on the one
side, of ``pipecat.processors.frameworks.rtvi`` and ``pipecat.transports.smallwebrtc`` 1.14 on the other, and
of the `RTVI standard <https://docs.pipecat.ai/client/rtvi-standard>`_. Versions 1 and 2 of it differ in what
bots say.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from rtc_stt import __version__
from rtc_stt.errors import RtcSttError
from rtc_stt.events import TranscriptFinal

__all__ = [
    "VERSION",
    "Invalid",
    "Request",
    "TrackStatus",
    "Version",
    "bot_ready",
    "error",
    "error_response",
    "metrics",
    "peer_left",
    "read",
    "server_message",
    "server_response",
    "signal",
    "transcription",
    "user_input",
]

Version = tuple[int, int, int]

VERSION: Version = (2, 2, 0)
"""Of RTVI, as it is spoken here."""

RTVI = "rtvi-ai"
"""The label of its messages; what has none is for the transport."""

MAX_ID_CHARS = 128
MAX_TYPE_CHARS = 64

PROCESSOR = "rtc-stt"
"""Whose metrics they are."""

USER_ID = ""
"""Nobody tells who speaks; Pipecat's own transport says the same then."""

# ── What the client says ────────────────────────────────────────────────────────────


class Invalid(RtcSttError):
    """A message that is none of theirs. Says what is wrong with it, and quotes nothing."""


@dataclass(frozen=True, slots=True)
class TrackStatus:
    """The client sends a track, or has muted it."""

    index: int
    """Of its transceiver."""
    enabled: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A message of RTVI."""

    type: str
    id: str
    custom: str | None = None
    """What kind of ``client-message`` it is; cut to :data:`MAX_TYPE_CHARS`, as ``type`` is."""
    data: object = None
    """What is in it."""
    version: Version | None = None
    """Of a ``client-ready``: the client's; None where it told none that can be read."""


def read(message: str | bytes) -> Request | TrackStatus | None:
    """Read a message of the client. None: a ping, which only shows that it is there.

    Raises:
        Invalid: it is none.
    """
    if isinstance(message, bytes):
        raise Invalid("a message is text: audio comes as a track")
    if message.startswith("ping"):
        return None
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        raise Invalid("a message is JSON") from None
    if not isinstance(body, dict):
        raise Invalid("a message is one JSON object")
    if body.get("type") == "signalling":
        return _read_signalling(body.get("message"))
    return _read_request(body)


def _read_signalling(told: object) -> TrackStatus:
    if not isinstance(told, dict) or told.get("type") != "trackStatus":
        raise Invalid("of signalling messages only trackStatus is taken")
    index, enabled = told.get("receiver_index"), told.get("enabled")
    if type(index) is not int or not isinstance(enabled, bool):
        raise Invalid("trackStatus has a number receiver_index, and enabled, which is true or false")
    return TrackStatus(index, enabled)


def _read_request(body: dict[str, object]) -> Request:
    if body.get("label") != RTVI:
        raise Invalid(f'a message has the label "{RTVI}"')
    kind, name, data = body.get("type"), body.get("id"), body.get("data")
    if not isinstance(kind, str) or not isinstance(name, str):
        raise Invalid("a message has a type and an id, both text")
    if len(name) > MAX_ID_CHARS or any("\ud800" <= c <= "\udfff" for c in name):
        raise Invalid(f"an id is text of at most {MAX_ID_CHARS} characters")
    told = data if isinstance(data, dict) else {}
    if kind == "client-ready":
        return Request(kind, name, version=_read_version(told.get("version")))
    if kind == "client-message":
        custom = told.get("t")
        return Request(kind, name, custom[:MAX_TYPE_CHARS] if isinstance(custom, str) else "", told.get("d"))
    return Request(kind[:MAX_TYPE_CHARS], name)


def _read_version(told: object) -> Version | None:
    found = re.fullmatch(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})", told) if isinstance(told, str) else None
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


# ── What it hears ────────────────────────────────────────────────────────────


def _write(kind: str, data: object = None, *, answers: str | None = None) -> str:
    body: dict[str, object] = {"label": RTVI, "type": kind}
    if answers is not None:
        body["id"] = answers
    if data is not None:
        body["data"] = data
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def signal(kind: str) -> str:
    """A message that says all by its type."""
    return _write(kind)


def bot_ready(answers: str, client: Version) -> str:
    """The answer to ``client-ready``.

    Args:
        client: its version. One of 1.x is answered with its own, as it would not know what a later one says.
    """
    capabilities = {
        "audio_in": True,
        "audio_out": False,
        "video_in": False,
        "screen_in": False,
        "video_out": False,
        "metrics": True,
    }
    return _write(
        "bot-ready",
        {
            "version": ".".join(map(str, client if client[0] == 1 else VERSION)),
            "about": {"library": "rtc-stt", "library_version": __version__},
            "capabilities": capabilities,
        },
        answers=answers,
    )


def transcription(text: str, timestamp: str, *, final: bool) -> str:
    """An utterance as it is understood so far, as a whole, or its final.

    Args:
        timestamp: ISO 8601.
    """
    return _write(
        "user-transcription", {"text": text, "user_id": USER_ID, "timestamp": timestamp, "final": final}
    )


def user_input(text: str, timestamp: str, *, final: bool) -> str:
    """The same in the message that takes its place."""
    return _write(
        "user-input",
        {
            "text": text,
            "input_type": "transcription",
            "timestamp": timestamp,
            "final": final,
            "user_id": USER_ID,
        },
    )


def metrics(final: TranscriptFinal) -> str:
    """Where the time of a final went, in seconds: ``ttfb`` from the end of speech to it, as Pipecat counts it
    for recognisers, and ``processing``, which the models took."""
    timing = final.timing
    figures = {
        "ttfb": timing.hangover_ms + timing.endpoint_to_final_ms,
        "processing": timing.fast_infer_ms + timing.accurate_infer_ms,
    }
    return _write(
        "metrics",
        {
            name: [{"processor": PROCESSOR, "model": final.model, "value": value / 1000}]
            for name, value in figures.items()
        },
    )


def server_message(event: str) -> str:
    """Something of our own.

    Args:
        event: as :func:`rtc_stt.wire.encode_event` writes it.
    """
    return f'{{"label":"{RTVI}","type":"server-message","data":{event}}}'


def server_response(answers: str, custom: str, data: object) -> str:
    """A ``client-message`` was obeyed."""
    told = {"t": custom} if data is None else {"t": custom, "d": data}
    return _write("server-response", told, answers=answers)


def error_response(answers: str, problem: str) -> str:
    """A message was not taken."""
    return _write("error-response", {"error": problem}, answers=answers)


def error(problem: str, *, fatal: bool = False) -> str:
    """Something is wrong; where ``fatal``, the client leaves."""
    return _write("error", {"error": problem, "message": problem, "fatal": fatal})


def peer_left() -> str:
    """The session has ended. Of the transport, not of RTVI: the client lets go of its connection."""
    return '{"type":"signalling","message":{"type":"peerLeft"}}'
