"""SDP taken apart (RFC 8866): lines, sections, attributes; bounded before anything is looked at."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rtc_stt.errors import BadRequest

__all__ = ["Section", "read_sections", "split_lines"]

MAX_LINE = 1024
"""Characters. The longest line of a browser has about 150."""

NEWLINE = re.compile(r"\r\n|\n|\r")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LINE = re.compile(r"[a-z]=")
MEDIA = re.compile(r"m=([a-z]{1,16}) ([0-9]{1,5}) ([A-Za-z/]{1,32}) ([!-~]+(?: [!-~]+)*) ?")


@dataclass(slots=True)
class Section:
    """A media section, or what stands before the first."""

    kind: str = ""
    port: int = 0
    protocol: str = ""
    formats: list[str] = field(default_factory=list)
    connection: str = ""
    """The value of its ``c=`` line."""
    attributes: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Values of all attributes of a name."""
        return [value for found, value in self.attributes if found == name]

    def first(self, name: str, otherwise: Section | None = None) -> str | None:
        """The value of an attribute, here or else in another section."""
        for found, value in self.attributes:
            if found == name:
                return value
        return otherwise.first(name) if otherwise else None


def split_lines(text: str, *, what: str, max_bytes: int, max_lines: int) -> list[str]:
    """The lines, without empty ones.

    Raises:
        BadRequest: too much, too many, too long; control characters; no SDP.
    """
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise BadRequest(f"{what} is longer than {max_bytes} bytes")
    if CONTROL.search(text):
        raise BadRequest(f"{what} holds control characters")
    lines = [line.rstrip() for line in NEWLINE.split(text)]
    if len(lines) > max_lines:
        raise BadRequest(f"{what} has more than {max_lines} lines")
    lines = [line for line in lines if line]
    for line in lines:
        if len(line) > MAX_LINE:
            raise BadRequest(f"{what} has a line of more than {MAX_LINE} characters")
        if not LINE.match(line):
            raise BadRequest(f"{what} is no SDP: each line should begin like a=")
    return lines


def read_sections(lines: list[str]) -> tuple[Section, list[Section]]:
    """What stands before the first ``m=`` line, and the media sections.

    Raises:
        BadRequest: an ``m=`` line is malformed.
    """
    session = current = Section()
    media: list[Section] = []
    for line in lines:
        if line.startswith("m="):
            match = MEDIA.fullmatch(line)
            if not match or int(match[2]) > 65_535:
                raise BadRequest("an m= line is malformed (RFC 8866 §5.14)")
            current = Section(match[1], int(match[2]), match[3], match[4].split())
            media.append(current)
        elif line.startswith("c="):
            current.connection = line[2:]
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            current.attributes.append((name, value.strip()))
    return session, media
