"""What stands in the header fields of SIP (RFC 3261 §25.1): lists, addresses, Via, credentials. Pure.

``sipmessage`` splits messages, and is not asked about these: its grammar refuses hosts that are legal
(``pbx1``), escapes parameters anew (a Via branch with a ``+`` comes back as another), joins two quoted
display names into one, and takes exponential time over an Authorization that is none. Everything here is
linear in what it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rtc_stt.errors import BadRequest

__all__ = [
    "Credentials",
    "NameAddr",
    "Via",
    "option_tags",
    "read_credentials",
    "read_media_type",
    "read_name_addr",
    "read_seconds",
    "read_via",
    "split_list",
    "uri_host",
    "uri_user",
]

MAX_URI = 512
"""Characters. The longest Contact seen (a push gateway's) has about 300."""

MAX_LIST = 32
"""Values of one header field: a request that passed so many proxies is going round."""

QUOTED = r'"(?:[^"\\]|\\.)*"'
PIECE = re.compile(r'"(?:[^"\\]|\\(?:.|$))*(?:"|$)|<[^<>]*>|[^",<]+|[,<]', re.DOTALL)
"""A quote that is not closed takes all the rest: to look for its end again and again would take long."""
NAME_ADDR = re.compile(rf"(?P<name>{QUOTED}|[^\"<]*)\s*<(?P<uri>[^<>\s]+)>\s*(?P<parameters>;.*)?")
ADDR_SPEC = re.compile(r"(?P<uri>[^<>;,\s\"]+)\s*(?P<parameters>;.*)?")
PARAMETER = re.compile(
    rf";\s*(?P<name>[A-Za-z0-9.!%*_+`'~-]+)\s*(?:=\s*(?P<value>{QUOTED}|[^;,\s\"]+)\s*)?",
)
VIA = re.compile(
    r"SIP\s*/\s*2\.0\s*/\s*(?P<transport>[A-Za-z0-9-]{1,16})\s+"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[^\s;:,\[\]\"]{1,255})\s*(?::\s*(?P<port>[0-9]{1,5}))?\s*"
    r"(?P<parameters>;.*)?"
)
URI = re.compile(r"(?:sips?:(?:(?P<user>[^@]*)@)?|tel:(?P<number>[^;?@]*))(?P<rest>[^@]*)", re.IGNORECASE)
CREDENTIAL = re.compile(rf"\s*(?P<name>[A-Za-z0-9-]{{1,32}})\s*=\s*(?P<value>{QUOTED}|[^\",\s]+)\s*(?:,|$)")
ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
MEDIA_TYPE = re.compile(
    r"(?P<type>[A-Za-z0-9.!%*_+`'~-]+\s*/\s*[A-Za-z0-9.!%*_+`'~-]+)\s*(?P<parameters>;.*)?"
)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """An address of From, To, Contact, Route."""

    uri: str
    name: str
    parameters: Mapping[str, str]

    @property
    def tag(self) -> str:
        """Its tag; empty where it has none."""
        return self.parameters.get("tag", "")


@dataclass(frozen=True, slots=True)
class Via:
    """One hop."""

    transport: str
    host: str
    port: int | None
    parameters: Mapping[str, str]

    @property
    def branch(self) -> str:
        """The id of the transaction; empty where there is none."""
        return self.parameters.get("branch", "")

    @property
    def sent_by(self) -> str:
        """Who sent it, to tell transactions apart (RFC 3261 §17.2.3)."""
        return f"{self.host.lower()}:{self.port or 5060}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of an Authorization header."""

    scheme: str
    parameters: Mapping[str, str]


def split_list(value: str) -> list[str]:
    """The values of a comma-joined header; commas within quotes and ``<>`` are no separators.

    Raises:
        BadRequest: there are too many.
    """
    found, start = [], 0
    for piece in PIECE.finditer(value):
        if piece.group() == ",":
            found.append(value[start : piece.start()].strip())
            start = piece.end()
            if len(found) > MAX_LIST:
                raise BadRequest("a header has too many values")
    found.append(value[start:].strip())
    return [text for text in found if text]


def option_tags(value: str) -> frozenset[str]:
    """The tokens of Require, Supported or Allow, in lower case."""
    return frozenset(token.strip().lower() for token in value.split(",") if token.strip())


def read_parameters(text: str | None) -> dict[str, str]:
    """Parameters by their names in lower case; one without a value has an empty one.

    Raises:
        BadRequest: these are none.
    """
    found: dict[str, str] = {}
    at, text = 0, (text or "").rstrip()
    while at < len(text):
        match = PARAMETER.match(text, at)
        if match is None or len(found) == MAX_LIST:
            raise BadRequest("the parameters of a header cannot be read")
        found.setdefault(match["name"].lower(), unquote(match["value"] or ""))
        at = match.end()
    return found


def unquote(text: str) -> str:
    """A quoted string without its quotes; anything else as it is."""
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if len(text) >= 2 and text[0] == text[-1] == '"' else text


def read_name_addr(text: str) -> NameAddr:
    """One address, with or without ``<>``.

    Raises:
        BadRequest: it is none.
    """
    match = NAME_ADDR.fullmatch(text.strip()) or ADDR_SPEC.fullmatch(text.strip())
    if match is None or len(match["uri"]) > MAX_URI or ":" not in match["uri"]:
        raise BadRequest("an address cannot be read")
    name = unquote((match.groupdict().get("name") or "").strip())
    return NameAddr(match["uri"], name, read_parameters(match["parameters"]))


def read_via(text: str) -> Via:
    """One value of Via.

    Raises:
        BadRequest: it is none.
    """
    match = VIA.fullmatch(text)
    if match is None or int(match["port"] or 1) not in range(1, 65536):
        raise BadRequest("Via cannot be read")
    port = int(match["port"]) if match["port"] else None
    return Via(match["transport"].upper(), match["host"], port, read_parameters(match["parameters"]))


def uri_user(uri: str) -> str:
    """The user of a ``sip:`` URI or the number of a ``tel:`` one, unescaped; else the URI itself."""
    match = URI.fullmatch(uri)
    user = "" if match is None else (match["user"] or match["number"] or "").split(":")[0].split(";")[0]
    return ESCAPE.sub(lambda code: chr(int(code[1], 16)), user) or uri


def uri_host(uri: str) -> str:
    """``host`` and ``:port`` of a ``sip:`` URI, as they stand."""
    match = URI.fullmatch(uri)
    return "" if match is None else re.split(r"[;?]", match["rest"])[0]


def read_credentials(text: str) -> Credentials:
    """Credentials (RFC 7616 §3.4).

    Raises:
        BadRequest: these are none.
    """
    scheme, _, rest = text.strip().partition(" ")
    found: dict[str, str] = {}
    at, rest = 0, rest.strip()
    while at < len(rest):
        match = CREDENTIAL.match(rest, at)
        if match is None or len(found) == MAX_LIST:
            raise BadRequest("credentials cannot be read")
        found.setdefault(match["name"].lower(), unquote(match["value"]))
        at = match.end()
    return Credentials(scheme.lower(), found)


def read_media_type(text: str) -> tuple[str, dict[str, str]]:
    """``Content-Type``: type and subtype in lower case, and the parameters.

    Raises:
        BadRequest: it is none.
    """
    match = MEDIA_TYPE.fullmatch(text.strip())
    if match is None:
        raise BadRequest("Content-Type cannot be read")
    return re.sub(r"\s", "", match["type"]).lower(), read_parameters(match["parameters"])


def read_seconds(text: str) -> tuple[int, dict[str, str]]:
    """``Session-Expires`` or ``Min-SE`` (RFC 4028 §4): seconds, and parameters.

    Raises:
        BadRequest: it is none.
    """
    number, semicolon, parameters = text.partition(";")
    number = number.strip()
    if not (number.isascii() and number.isdigit()) or len(number) > 10:
        raise BadRequest("a number of seconds cannot be read")
    return int(number), read_parameters(semicolon + parameters)
