"""How a worker tells how far its sessions are, and hears of one that it is to go on with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from rtc_stt.events import Event
from rtc_stt.handover import Handover, Sheet
from rtc_stt.wire import decode_event, encode_event
from signaling.calls import Keeper
from signaling.workers.frames import BadFrame

__all__ = ["Teller", "handover_from", "handover_to", "read_kept"]


MAX_SHEETS = 20
"""In one message: options may hold two prompts."""


class Teller:
    """A :class:`~signaling.calls.Keeper` in a worker: tells the front, in messages of type ``kept``."""

    def __init__(self, send: Callable[[dict[str, Any]], None], *, hears: bool) -> None:
        self.hears = hears
        """See :class:`~signaling.calls.Keeper`."""
        self._send = send

    def began(self, session_id: str, token: str, transport: str) -> None:
        """See :class:`~signaling.calls.Keeper`."""
        self._say("began", session_id, token, transport)

    def told(self, session_id: str, event: Event) -> None:
        """See :class:`~signaling.calls.Keeper`."""
        self._say("told", session_id, encode_event(event))

    def acknowledged(self, session_id: str, seq: int) -> None:
        """See :class:`~signaling.calls.Keeper`."""
        self._say("acknowledged", session_id, seq)

    def sheets(self, sheets: Mapping[str, Sheet]) -> None:
        """See :class:`~signaling.calls.Keeper`."""
        told = [(name, dataclasses.asdict(sheet)) for name, sheet in sheets.items()]
        for first in range(0, len(told), MAX_SHEETS):
            self._say("sheets", dict(told[first : first + MAX_SHEETS]))

    def _say(self, what: str, *fields: Any) -> None:
        self._send({"type": "kept", "what": what, "fields": fields})


def read_kept(header: Mapping[str, Any], keeper: Keeper) -> None:
    """Hand on what a :class:`Teller` has said.

    Raises:
        BadFrame: it cannot be understood.
    """
    try:
        match header:
            case {"what": "began", "fields": [str(session_id), str(token), str(transport)]}:
                keeper.began(session_id, token, transport)
            case {"what": "told", "fields": [str(session_id), str(line)]}:
                keeper.told(session_id, decode_event(line))
            case {"what": "acknowledged", "fields": [str(session_id), int(seq)]}:
                keeper.acknowledged(session_id, seq)
            case {"what": "sheets", "fields": [dict(sheets)]}:
                keeper.sheets({str(name): Sheet(**fields) for name, fields in sheets.items()})
            case _:
                raise BadFrame("a worker keeps what is not known")
    except (TypeError, ValueError) as error:
        raise BadFrame(f"a message cannot be understood: {type(error).__name__}") from error


def handover_to(handover: Handover) -> dict[str, Any]:
    """As JSON."""
    told = {field.name: getattr(handover, field.name) for field in dataclasses.fields(handover)}
    return told | {"events": [encode_event(event) for event in handover.events]}


def handover_from(fields: Mapping[str, Any]) -> Handover:
    """And back.

    Raises:
        BadFrame: it is none.
    """
    try:
        return Handover(**{**fields, "events": tuple(decode_event(line) for line in fields["events"])})
    except (KeyError, TypeError, ValueError) as error:
        raise BadFrame(f"a message cannot be understood: {type(error).__name__}") from error
