"""SIP messages, normalised and taken apart (RFC 3261 §7). Pure.

``sipmessage`` splits what comes here after it has been brought into the one form that it reads: lines end
with CRLF, folded ones are joined (§7.3.1), names have no space before their colon. Nothing is looked at
before its size is known. What a header field says stays text, as it came, for answers have to repeat it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sipmessage

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.fields import NameAddr, Via, read_name_addr, read_via, split_list

__all__ = ["MAX_MESSAGE", "Malformed", "Request", "Response", "read_message", "read_request", "render"]

MAX_MESSAGE = 16 * 1024
"""Bytes. An INVITE of SIPREC with two parties and their metadata has 4,000 to 8,000."""

MAX_HEADERS = 100
"""Lines, folded ones joined; a busy trunk's INVITE has 30."""

MAX_LINE = 2048
"""Characters of one, joined."""

MAX_CSEQ = 2**31
"""RFC 3261 §8.1.1.5."""

COOKIE = "z9hg4bk"
"""What a branch begins with since RFC 3261 (§8.1.1.7), in lower case."""

BLANK = re.compile(rb"\r\n\r\n|\n\n|\n\r\n")
NEWLINE = re.compile(r"\r\n|\n")
FOLD = re.compile(r"(?:\r\n|\n)[ \t]+")
SPACES = re.compile(r"[ \t]{2,}|\t")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
HEADER = re.compile(r"(?P<name>[A-Za-z0-9.!%*_+`'~-]+)[ \t]*:[ \t]*(?P<value>.*)")
REQUEST_LINE = re.compile(
    r"(?P<method>[A-Za-z0-9.!%*_+`'~-]{1,32}) (?P<uri>[!-;=?-~]{1,512}) SIP/(?P<version>\d\.\d)"
)
STATUS_LINE = re.compile(r"SIP/2\.0 (?P<code>[1-6]\d\d)(?: .*)?", re.DOTALL)

NEEDED = ("Via", "From", "To", "Call-ID", "CSeq")
"""Without these nothing can be answered (RFC 3261 §8.2.6.2)."""


class Malformed(BadRequest):
    """A request that can be answered, though not done: ``status`` and the message are what it is told."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to a request of ours."""

    code: int
    branch: str
    method: str
    headers: sipmessage.Headers
    body: bytes


@dataclass(slots=True)
class Request:
    """A request; :func:`read_request` fills in and checks what is only text before."""

    method: str
    uri: str
    version: str
    headers: sipmessage.Headers
    body: bytes
    size: int
    """Bytes of all of it."""
    vias: Sequence[str] = ()
    via: Via | None = None
    caller: NameAddr | None = None
    callee: NameAddr | None = None
    cseq: int = 0

    @property
    def call_id(self) -> str:
        """Its Call-ID."""
        return self.headers.get("Call-ID") or ""

    @property
    def from_tag(self) -> str:
        """The tag of From."""
        return self.caller.tag if self.caller else ""

    @property
    def to_tag(self) -> str:
        """The tag of To: empty in what begins a dialog."""
        return self.callee.tag if self.callee else ""

    @property
    def can_be_answered(self) -> bool:
        """Whether it says enough for an answer."""
        return self.via is not None and all(self.headers.get(name) for name in NEEDED)

    def all(self, name: str) -> list[str]:
        """The values of a header that is a list, whether in one line or in many.

        Raises:
            BadRequest: there are too many.
        """
        return [value for line in self.headers.getlist(name) for value in split_list(line)]

    def first(self, name: str) -> str:
        """The first line of a header; empty where there is none."""
        return self.headers.get(name) or ""

    def joined(self, name: str) -> str:
        """All lines of a header, joined by commas."""
        return ",".join(self.headers.getlist(name))


def read_message(data: bytes) -> Request | Response:
    """Take a message apart, as far as lines go; of one that is too long, the headers only.

    Raises:
        BadRequest: it is no SIP, or has too much of something.
    """
    blank = BLANK.search(data, 0, MAX_MESSAGE)
    if blank is None:
        raise BadRequest("a message has no end of headers")
    start, lines = split_head(data[: blank.start()])
    parsed = parse_lines(lines, data[blank.end() : MAX_MESSAGE])
    if status := STATUS_LINE.fullmatch(start):
        return read_response(int(status["code"]), parsed)
    line = REQUEST_LINE.fullmatch(start)
    if line is None:
        raise BadRequest("the first line of a message cannot be read")
    return Request(line["method"], line["uri"], line["version"], parsed.headers, parsed.body, len(data))


def split_head(head: bytes) -> tuple[str, list[str]]:
    """The first line, and the header lines: joined, trimmed, bounded.

    Raises:
        BadRequest: these are none.
    """
    # Runs of white space say the same as one space (§25.1), and patterns stay linear.
    text = SPACES.sub(" ", FOLD.sub(" ", head.decode("utf-8", "replace")))
    if CONTROL.search(text.replace("\r\n", "\n")) or "\r" in text.replace("\r\n", "\n"):
        raise BadRequest("a header holds control characters")
    start, *rest = NEWLINE.split(text)
    if len(rest) > MAX_HEADERS or len(start) > MAX_LINE:
        raise BadRequest("a message has too many headers")
    lines = []
    for line in rest:
        match = HEADER.fullmatch(line)
        if match is None or len(line) > MAX_LINE:
            raise BadRequest("a header cannot be read")
        lines.append(f"{match['name']}: {match['value'].rstrip()}")
    return start.strip(), lines


def parse_lines(lines: list[str], body: bytes) -> sipmessage.Message:
    """Headers by name, compact forms written out. The first line is not sipmessage's: see ``fields.py``.

    Raises:
        BadRequest: these are none.
    """
    head = "\r\n".join(["OPTIONS sip:localhost SIP/2.0", *lines])
    try:
        return sipmessage.Message.parse(head.encode() + b"\r\n\r\n" + body)
    except ValueError:
        raise BadRequest("a message cannot be read") from None


def cut_body(headers: sipmessage.Headers, body: bytes) -> bytes:
    """The body without what is behind it (RFC 3261 §18.3).

    Raises:
        BadRequest: there is less than its length says.
    """
    told = headers.get("Content-Length")
    if told is None:
        return body
    if not (told.isascii() and told.isdigit()) or len(told) > 9 or int(told) > len(body):
        raise BadRequest("Content-Length is not that of the body")
    return body[: int(told)]


def read_response(code: int, parsed: sipmessage.Message) -> Response:
    """An answer, by whose it is.

    Raises:
        BadRequest: that cannot be read.
    """
    headers, body = parsed.headers, cut_body(parsed.headers, parsed.body)
    vias = [value for line in headers.getlist("Via") for value in split_list(line)]
    if len(vias) != 1:
        raise BadRequest("an answer is not for us")
    return Response(code, read_via(vias[0]).branch, read_cseq(headers)[1], headers, body)


def read_cseq(headers: sipmessage.Headers) -> tuple[int, str]:
    """Number and method.

    Raises:
        BadRequest: they cannot be read.
    """
    try:
        cseq = sipmessage.CSeq.parse((headers.get("CSeq") or "")[:64])
    except ValueError:
        raise BadRequest("CSeq cannot be read") from None
    if cseq.sequence >= MAX_CSEQ:
        raise BadRequest("CSeq is too high")
    return cseq.sequence, cseq.method


def read_request(request: Request) -> None:
    """Check what every request has (RFC 3261 §8.1.1), and fill it in. Via comes first, for the answer.

    Raises:
        BadRequest: something is missing or cannot be read; ``Malformed`` where a status says more than 400.
    """
    vias = request.all("Via")
    if not vias:
        raise BadRequest("Via is missing")
    request.vias, request.via = vias, read_via(vias[0])
    for name in NEEDED[1:]:
        if len(request.headers.getlist(name)) != 1 or not request.first(name):
            raise BadRequest(f"{name} is missing or there twice")
    request.caller, request.callee = (
        read_name_addr(request.first("From")),
        read_name_addr(request.first("To")),
    )
    request.cseq, method = read_cseq(request.headers)
    if request.size > MAX_MESSAGE:
        raise Malformed("Message Too Large", status=513)
    request.body = cut_body(request.headers, request.body)
    if request.version != "2.0":
        raise Malformed("Version Not Supported", status=505)
    if method != request.method:
        raise BadRequest("CSeq is of another method")
    if not request.via.branch.lower().startswith(COOKIE) or len(request.via.branch) <= len(COOKIE):
        raise BadRequest("a branch of RFC 2543 is not taken")
    if not request.from_tag:
        raise BadRequest("From has no tag")


def render(start: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> bytes:
    """A message of ours. Its length is added."""
    lines = [start, *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
