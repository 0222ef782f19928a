"""The body of ``POST /v1/calls``: a call that is to come. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.errors import BadRequest
from signaling.telephony.call_source import (
    MAX_NAME_CHARS,
    MAX_PARAMETERS,
    MAX_TEXT_CHARS,
    CallDetails,
    clean_parameters,
    clean_text,
)

__all__ = ["MAX_BODY_BYTES", "SOURCES", "UUID", "Announcement", "read_announcement"]

MAX_BODY_BYTES = 32 * 1024
"""All fields at their longest, and what JSON adds."""

SOURCES = ("audiosocket",)
"""Protocols whose calls show a UUID and no more."""

UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""RFC 9562 §4."""

TEXTS = ("external_id", "caller", "callee")


@dataclass(frozen=True, slots=True)
class Announcement:
    """A body, understood."""

    source: str
    uuid: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Some of :data:`TEXTS`."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    """Not looked at here."""

    def details(self, owner: str, address: str) -> CallDetails:
        """What is known of the call.

        Args:
            owner, address: see :class:`CallDetails`.
        """
        return CallDetails(
            self.source,
            parameters=self.parameters,
            options=self.options,
            owner=owner,
            address=address,
            **self.texts,
        )


def read_announcement(text: str) -> Announcement:
    """Read what is said of a call that is to come.

    Raises:
        BadRequest: it is not understood; says what is wrong.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest('the body is one JSON object: {"source": "audiosocket"}')
    if unknown := set(body) - {"source", "uuid", "parameters", "options", *TEXTS}:
        raise BadRequest(f"there is no field {min(unknown)[:64]!r}")
    source, uuid = body.get("source"), body.get("uuid", "")
    if source not in SOURCES:
        raise BadRequest(f"source is one of {', '.join(SOURCES)}")
    if "uuid" in body and not (isinstance(uuid, str) and re.fullmatch(UUID, uuid)):
        raise BadRequest("uuid is a UUID: 36 characters, with dashes; or leave it out, and one is made")
    options = body.get("options", {})
    if not isinstance(options, dict):
        raise BadRequest("options is an object, with the fields of a configure")
    texts = {name: _text(name, body[name]) for name in TEXTS if name in body}
    return Announcement(source, uuid, texts, _parameters(body.get("parameters", {})), options)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        raise BadRequest(f"{name} is a text of at most {MAX_TEXT_CHARS} characters")
    return clean_text(value)


def _parameters(values: Any) -> dict[str, str]:
    if not isinstance(values, dict) or len(values) > MAX_PARAMETERS:
        raise BadRequest(f"parameters is an object of at most {MAX_PARAMETERS} texts")
    for name, value in values.items():
        if len(name) > MAX_NAME_CHARS:
            raise BadRequest(f"the name of a parameter has at most {MAX_NAME_CHARS} characters")
        _text("a parameter", value)
    return clean_parameters(values)
