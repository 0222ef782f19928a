"""The JSON form of events and commands: one object a message, named by ``type``.

Writing an event and reading it back gives an equal event. Reading a command never trusts it: whatever is
wrong becomes a :class:`ProtocolProblem`, which the session answers with a ``warning``.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
import unicodedata
from collections.abc import Mapping
from typing import Any

from rtc_stt.commands import COMMAND_TYPES, Ack, Command, Configure, Finalize, Mute, Ping, Stop
from rtc_stt.errors import RtcSttError
from rtc_stt.events import EVENT_TYPES, Event

__all__ = [
    "MAX_COMMAND_CHARS",
    "ProtocolProblem",
    "decode_event",
    "encode_command",
    "encode_event",
    "event_to_plain",
    "from_plain",
    "read_command",
    "to_plain",
]

MAX_COMMAND_CHARS = 16_384
"""Longest command, in characters. The longest honest one, two prompts of 1,000 characters, is far shorter."""

MAX_ID_CHARS = 128
"""Longest id of a ``finalize`` or ``ping``; it is sent back as it came."""

MAX_SEQ = 2**53
"""Numbers beyond it are not exact in every client's JSON."""


class ProtocolProblem(RtcSttError):
    """A message that is no command. ``code`` is the code of the warning that answers it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# ── Events ────────────────────────────────────────────────────────────


def event_to_plain(event: Event) -> dict[str, Any]:
    """What :func:`encode_event` writes, as an object: ``type``, ``seq``, ``at_ms``, then its own fields."""
    body = {"type": event.type, "seq": event.seq, "at_ms": event.at_ms}
    for item in dataclasses.fields(event):
        if item.name not in body:
            value = getattr(event, item.name)
            # An id is the client's own, and goes back as it came.
            body[item.name] = value if item.name == "id" else to_plain(value)
    return body


def encode_event(event: Event) -> str:
    """One line of JSON: ``type``, ``seq``, ``at_ms``, then the event's own fields."""
    return json.dumps(event_to_plain(event), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def decode_event(line: str | bytes) -> Event:
    """Read what :func:`encode_event` wrote. Fields that this version does not know are skipped.

    Raises:
        ValueError: not JSON, of an unknown type, or a field is missing or of another type.
    """
    body = json.loads(line)
    kind = body.get("type") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in EVENT_TYPES:
        raise ValueError("not an event of rtc-stt.v1")
    event = from_plain(EVENT_TYPES[kind], body)
    assert isinstance(event, Event)
    return event


def to_plain(value: Any) -> Any:
    """The JSON form of a dataclass or of a field of one: objects, lists, texts in NFC, numbers."""
    if isinstance(value, str):  # enum members too
        return unicodedata.normalize("NFC", str(value))
    if dataclasses.is_dataclass(value):
        return {item.name: to_plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    return value


def from_plain(kind: Any, value: Any) -> Any:
    """The inverse of :func:`to_plain`, led by a type. Fields that it does not have are skipped.

    Raises:
        ValueError: a field is missing or of another type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object for {kind}")
        hints = typing.get_type_hints(kind)
        try:
            return typing.cast(Any, kind)(
                **{
                    item.name: from_plain(hints[item.name], value[item.name])
                    for item in dataclasses.fields(kind)
                    if item.name in value
                }
            )
        except TypeError as error:
            raise ValueError(str(error)) from error
    if origin is types.UnionType:
        return None if value is None else from_plain(arguments[0], value)
    if origin is tuple:
        if not isinstance(value, tuple | list):
            raise ValueError(f"expected a list for {kind}")
        return tuple(from_plain(arguments[0], item) for item in value)
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return kind(value)
    if kind in (int, float, str, bool):
        number = kind is float and isinstance(value, int)
        if not (number or isinstance(value, kind)) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"expected {kind.__name__}")
        return kind(value)
    return value


# ── Commands ────────────────────────────────────────────────────────────


def encode_command(command: Command) -> str:
    """One line of JSON."""
    body: dict[str, Any] = {"type": command.type}
    if isinstance(command, Configure):
        body |= command.changes
    else:
        body |= dataclasses.asdict(command)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read_command(message: str | bytes) -> tuple[Command, list[str]]:
    """Read what a client sent. Returns the command and the names of fields it should not have.

    Raises:
        ProtocolProblem: it is no command; what is open in the session is not touched by it.
    """
    if len(message) > MAX_COMMAND_CHARS:
        raise ProtocolProblem("message_too_long", f"a message has at most {MAX_COMMAND_CHARS} characters")
    try:
        body = json.loads(message)
    except (ValueError, RecursionError):
        raise ProtocolProblem("not_json", "a message is one JSON object") from None
    if not isinstance(body, dict):
        raise ProtocolProblem("not_json", "a message is one JSON object")
    kind = body.pop("type", None)
    if not isinstance(kind, str) or kind not in COMMAND_TYPES:
        raise ProtocolProblem("unknown_type", f"type must be one of {', '.join(COMMAND_TYPES)}")
    if kind == Configure.type:
        return Configure(body), []
    return _read_fields(kind, body)


def _read_fields(kind: str, body: dict[str, Any]) -> tuple[Command, list[str]]:
    command: Command
    if kind == Mute.type:
        on = body.pop("on", None)
        if not isinstance(on, bool):
            raise ProtocolProblem("bad_field", "mute needs on: true or false")
        command = Mute(on)
    elif kind == Ack.type:
        seq = body.pop("seq", None)
        if type(seq) is not int or not 0 <= seq <= MAX_SEQ:
            raise ProtocolProblem("bad_field", "ack needs seq: the number of the last event seen")
        command = Ack(seq)
    elif kind == Stop.type:
        command = Stop()
    else:
        request_id = body.pop("id", None)
        if not isinstance(request_id, str) or len(request_id) > MAX_ID_CHARS or not _is_text(request_id):
            raise ProtocolProblem("bad_field", f"{kind} needs id: text of at most {MAX_ID_CHARS} characters")
        command = Finalize(request_id) if kind == Finalize.type else Ping(request_id)
    return command, [name[:64] for name in body]


def _is_text(text: str) -> bool:
    """Whether the text can be sent back: JSON lets lone surrogates in, UTF-8 does not let them out."""
    return text.isprintable() or not any("\ud800" <= c <= "\udfff" for c in text)
