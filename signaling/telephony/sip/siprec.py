"""SIPREC (RFC 7866): the two parts of a recorder's INVITE, and who is who in its metadata (RFC 7865). Pure.

The metadata say which participant sends which stream, and the stream has the label that its m-line has too::

    <participant participant_id="P"> <nameID aor="sip:bob@example"> <name>Bob</name>
    <participantstreamassoc participant_id="P"> <send>S</send>
    <stream stream_id="S"> <label>96</label>                       ─▶ m=audio … a=label:96

Namespaces are skipped over: recorders use several, and some forget to declare them. A document type
declaration, and with it every entity, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from rtc_stt.errors import BadRequest, UnsupportedMedia
from signaling.telephony.call_source import AGENT, CALLER, clean_text

__all__ = ["Participant", "Parts", "read_metadata", "split_body"]

MAX_BODY_BYTES = 64 * 1024
MAX_PARTS = 8
MAX_ELEMENTS = 1_000
MAX_DEPTH = 24
MAX_TEXT = 512

SDP = "application/sdp"
METADATA = ("application/rs-metadata+xml", "application/rs-metadata")
"""The second is what was used before RFC 7866, and still is."""

BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
TYPE = re.compile(rb"(?im)^content-type[ \t]*:[ \t]*([^\s;]{1,80})")

ORIGINATOR = {"callerorig", "callingparty", "calling-party"}
"""Elements by which recorders say, as an extension, whether a participant has called."""

YES, NO = ("true", "1", "yes"), ("false", "0", "no")


@dataclass(frozen=True, slots=True)
class Parts:
    """The body of an INVITE."""

    sdp: bytes = b""
    """Empty: there is none."""
    metadata: bytes = b""


@dataclass(frozen=True, slots=True)
class Participant:
    """Who speaks on a stream."""

    name: str = ""
    aor: str = ""
    """Address of record: a SIP or tel URI."""
    role: str = ""
    """``caller`` or ``agent``, where that was told."""


def split_body(body: bytes, content_type: str, parameters: Mapping[str, str]) -> Parts:
    """The description and the metadata in a body.

    Args:
        content_type: in lower case.

    Raises:
        BadRequest: the multipart cannot be read.
        UnsupportedMedia: the body is neither SDP nor a multipart.
    """
    if not body:
        return Parts()
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(f"the body is longer than {MAX_BODY_BYTES} bytes")
    if content_type in (SDP, ""):
        return Parts(sdp=body)
    if content_type in METADATA:
        return Parts(metadata=body)
    if not content_type.startswith("multipart/"):
        raise UnsupportedMedia("the body should be application/sdp or multipart/mixed")
    boundary = parameters.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        raise BadRequest("the multipart has no boundary (RFC 2046 §5.1.1)")
    return _read_parts(body, boundary.encode())


def _read_parts(body: bytes, boundary: bytes) -> Parts:
    edge = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|$)")
    edges = list(edge.finditer(body))
    if not edges or len(edges) > MAX_PARTS + 1:
        raise BadRequest(f"the multipart should have 1 to {MAX_PARTS} parts")
    sdp, metadata = b"", b""
    for number, begin in enumerate(edges):
        if begin[1]:
            break
        end = edges[number + 1].start() if number + 1 < len(edges) else len(body)
        # The line break before the next boundary is the boundary's, also where a part has no content.
        head, _, content = _cut(body[begin.end() : max(end, begin.end())])
        match = TYPE.search(head)
        kind = match[1].decode("latin-1").lower() if match else ""
        if kind == SDP and not sdp:
            sdp = content
        elif kind in METADATA and not metadata:
            metadata = content
    return Parts(sdp, metadata)


def _cut(part: bytes) -> tuple[bytes, bytes, bytes]:
    """Headers, the empty line, content."""
    if match := re.search(rb"(?:^|\r?\n)\r?\n", part):
        return part[: match.start()], match[0], part[match.end() :]
    return part, b"", b""


def read_metadata(document: bytes) -> dict[str, Participant]:
    """Who sends the stream of each label.

    Raises:
        BadRequest: it is no XML, has a document type, or is beyond the limits.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(document, True)
    except expat.ExpatError as error:
        raise BadRequest("the recording metadata are no XML that can be read") from error
    except (ValueError, LookupError) as error:  # an encoding that nobody knows
        raise BadRequest("the recording metadata are in an encoding that is not known") from error
    return reader.found()


@dataclass(slots=True)
class _Person:
    name: str = ""
    aor: str = ""
    role: str = ""
    sends: list[str] = field(default_factory=list)


class _Reader:
    """Gathers what is said of participants and streams."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._people: dict[str, _Person] = {}
        self._labels: dict[str, str] = {}  # by stream
        self._path: list[tuple[str, str]] = []  # elements, and the participant or stream that they are of
        self._text = ""
        self._count = 0

    def found(self) -> dict[str, Participant]:
        people: dict[str, Participant] = {}
        for person in self._people.values():
            for stream in person.sends:
                if label := self._labels.get(stream):
                    people.setdefault(label, Participant(person.name, person.aor, person.role))
        return people

    def _refuse(self, *_: object) -> None:
        raise BadRequest("the recording metadata have a document type: that is refused")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._path) >= MAX_DEPTH:
            raise BadRequest("the recording metadata have too many elements, or too deep ones")
        name = name.rpartition(":")[2].lower()
        owner = self._path[-1][1] if self._path else ""
        if name in ("participant", "participantstreamassoc", "participantsessionassoc"):
            owner = attributes.get("participant_id") or attributes.get("id") or ""
            self._people.setdefault(owner, _Person())
        elif name == "stream":
            owner = attributes.get("stream_id") or attributes.get("id") or ""
        elif name == "nameid" and owner in self._people:
            self._people[owner].aor = clean_text(attributes.get("aor", ""))
        self._path.append((name, owner))
        self._text = ""

    def _characters(self, text: str) -> None:
        if len(self._text) < MAX_TEXT:
            self._text += text[:MAX_TEXT]

    def _end(self, _: str) -> None:
        name, owner = self._path.pop()
        text, self._text = clean_text(self._text.strip()), ""
        if name == "label":
            self._labels[owner] = text
            return
        person = self._people.get(owner)
        if person is None:
            return
        if name == "name":
            person.name = text
        elif name == "aor" and not person.aor:
            person.aor = text
        elif name == "send":
            person.sends.append(text)
        elif name in ORIGINATOR and text.lower() in YES + NO:
            person.role = CALLER if text.lower() in YES else AGENT
