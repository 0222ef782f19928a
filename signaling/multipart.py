"""``multipart/form-data`` (RFC 7578) taken apart, in whatever pieces it comes. Pure.

::

    state     what is looked for                        then
    ────────  ────────────────────────────────────────  ──────────────────────────────────────────
    PREAMBLE  CRLF ``--boundary``                       EDGE
    EDGE      the rest of that line                     empty: HEAD;  ``--``: DONE;  else broken
    HEAD      an empty line                             :class:`Began`, BODY
    BODY      CRLF ``--boundary``                       all before it is data; :class:`Ended`, EDGE
    DONE      nothing                                   what follows is skipped

aiohttp's own reader would do but for what it makes of the worst: it reads lines without a turn for anybody
else, asserts, and puts what clients send into warnings, and so into the log.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rtc_stt.errors import BadRequest

__all__ = ["Began", "Ended", "Event", "FormReader", "read_boundary"]

MAX_HEAD_BYTES = 4 * 1024
"""Of one part, and of what stands before the first. Clients write some hundred bytes; names of files are
long."""

MAX_EDGE_BYTES = 64
"""Behind a boundary on its line: two dashes, or blanks that a gateway has put there."""

# RFC 2046 §5.1.1; the quotes are needed where the boundary has other characters than a token has.
_BOUNDARY = re.compile(r""";\s*boundary=(?:"([^"]*)"|([^\s;"]*))""", re.IGNORECASE)
_BOUNDARY_TEXT = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_PARAMETER = re.compile(
    r"""[ \t]*;[ \t]*([\w*-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))[ \t]*(?=;|$)"""
)
_PLAIN = ("binary", "8bit", "7bit")


@dataclass(frozen=True, slots=True)
class Began:
    """A part begins."""

    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """It is whole."""


Event = Began | bytes | Ended
"""Bytes are data of the part that has begun; never empty."""


class _State(enum.Enum):
    PREAMBLE = enum.auto()
    EDGE = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    DONE = enum.auto()


def read_boundary(content_type: str) -> str:
    """The boundary that a ``Content-Type`` names.

    Raises:
        BadRequest: it names none, or one that may not be.
    """
    found = _BOUNDARY.search(content_type)
    text = (found[1] or found[2] or "") if found else ""
    if not _BOUNDARY_TEXT.fullmatch(text):
        raise BadRequest("Content-Type: multipart/form-data needs a boundary, of 1 to 70 characters")
    return text


class FormReader:
    """See above. What is held back is never more than a head or a boundary."""

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._held = b"\r\n"  # the first boundary needs no line before it
        self._at = 0  # so much of it is done with
        self._state = _State.PREAMBLE

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take the next piece; what is in it comes one by one, to the last before there may be another piece.

        Raises:
            BadRequest: it is no form.
        """
        self._held, self._at = self._held[self._at :] + data, 0
        while True:
            match self._state:
                case _State.PREAMBLE:
                    if (found := self._find(self._delimiter, MAX_HEAD_BYTES)) is None:
                        return
                    self._go(_State.EDGE, found + len(self._delimiter))
                case _State.EDGE:
                    if not self._pass_edge():
                        return
                case _State.HEAD:  # it begins with the end of the boundary's line
                    if (found := self._find(b"\r\n\r\n", MAX_HEAD_BYTES)) is None:
                        return
                    head = self._held[self._at + 2 : found]
                    self._go(_State.BODY, found + 4)
                    yield Began(_read_head(head))
                case _State.BODY:
                    found = self._held.find(self._delimiter, self._at)
                    # Where there is none, the last bytes may be the beginning of one.
                    end = found if found >= 0 else len(self._held) - len(self._delimiter) + 1
                    if end > self._at:
                        data, self._at = self._held[self._at : end], end
                        yield data
                    if found < 0:
                        return
                    self._go(_State.EDGE, found + len(self._delimiter))
                    yield Ended()
                case _State.DONE:
                    self._at = len(self._held)
                    return

    def feed_end(self) -> None:
        """There is no more.

        Raises:
            BadRequest: there should be.
        """
        if self._state is not _State.DONE:
            raise BadRequest("the form is broken: it ends before its last boundary")

    def _pass_edge(self) -> bool:
        if self._held.startswith(b"--", self._at):  # nothing needs to follow
            self._go(_State.DONE, self._at + 2)
            return True
        if (found := self._find(b"\r\n", MAX_EDGE_BYTES)) is None:
            return False
        if self._held[self._at : found].strip(b" \t"):
            raise BadRequest("the form is broken: something follows a boundary on its line")
        self._go(_State.HEAD, found)
        return True

    def _find(self, wanted: bytes, limit: int) -> int | None:
        """Where it is; None where it may still come.

        Raises:
            BadRequest: it is not within so many bytes.
        """
        found = self._held.find(wanted, self._at)
        if found > self._at + limit or (found < 0 and len(self._held) >= self._at + limit + len(wanted)):
            raise BadRequest(f"the form is broken: {_LOOKED_FOR[self._state]} within {limit} bytes")
        return found if found >= 0 else None

    def _go(self, state: _State, at: int) -> None:
        self._state, self._at = state, at


_LOOKED_FOR = {
    _State.PREAMBLE: "the boundary that Content-Type names is not found",
    _State.EDGE: "the line of a boundary does not end",
    _State.HEAD: "the head of a part does not end",
}


def _read_head(head: bytes) -> str:
    """The name of a part. What the client calls its file is not looked at.

    Raises:
        BadRequest: it has none, or says that it is written in another way than as it is.
    """
    name: str | None = None
    for line in head.decode("utf-8", "replace").split("\r\n") if head else ():
        field, colon, value = line.partition(":")
        if not colon:
            raise BadRequest("the form is broken: a line in the head of a part is no header")
        match field.strip().lower():
            case "content-disposition" if name is None:
                name = _read_name(value)
            case "content-transfer-encoding" if value.strip().lower() not in _PLAIN:
                raise BadRequest("parts of the form are sent as they are, without Content-Transfer-Encoding")
    if name is None:
        raise BadRequest("every part of the form needs a name: Content-Disposition: form-data; name=…")
    return name


def _read_name(disposition: str) -> str | None:
    kind, semicolon, rest = disposition.partition(";")
    if kind.strip().lower() != "form-data":
        return None
    position, parameters = 0, semicolon + rest
    while found := _PARAMETER.match(parameters, position):
        if found[1].lower() == "name":
            return found[2] if found[3] is None else found[3]
        position = found.end()
    return None
