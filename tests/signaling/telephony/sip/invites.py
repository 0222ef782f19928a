"""INVITEs in the shapes that PBXs, phones and carriers send, and spoiled ones."""

from __future__ import annotations

import random
from pathlib import Path

from tests.spoiling import Spoiler

__all__ = ["INVITES", "spoiled"]


def _whole(path: Path) -> bytes:
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    data = body.replace("\n", "\r\n").encode()
    return f"{head}\nContent-Length: {len(data)}\n\n".replace("\n", "\r\n").encode() + data


INVITES = {path.stem: _whole(path) for path in sorted((Path(__file__).parent / "invites").glob("*.txt"))}

WORDS = (
    "", "0", "-1", "65536", "99999999999999999999", "1e9", "*", "\u0661", "é", "a b", "%s", "%00", "a" * 3000,
    '"', '"' * 300, '\\"' * 300, "<", "<" * 300, ",", "," * 300, ";", ";" * 300, "=", ":" * 300,
    "\x00", "\x7f",
    " " * 300, "\r", "sip:", "sip:a@b@c", "tel:" + "1" * 400, "sip:a@[::", "z9hG4bK", "SIP/2.0/UDP", "1 BYE",
    "application/", "refresher=uas", "Digest " + ",".join(['a="b"'] * 40), "Digest username=",
)  # fmt: skip
LINES = (
    "Via: SIP/2.0/UDP x", "Via: ", "v:SIP/2.0/TLS [::1]:0;branch=1", "From: ", "f: x", "To: <>", "Call-ID: ",
    "i: a",
    "CSeq: 1", "CSeq: 4294967296 INVITE", "CSeq: 1 ACK", "Contact: *", "m: <sip:a>,<sip:b>",
    "Contact: <sip:>",
    "Content-Length: 0", "Content-Length: 99999", "l: -1", "Content-Type: x", "c: multipart/mixed;boundary",
    "Content-Encoding: gzip", "Require: x", "Require: timer,siprec", "Supported: timer", "Session-Expires: 1",
    "Session-Expires: 99999999999", "x: 90;refresher", "Min-SE: x", "Min-SE: 9999999999", "Record-Route: x",
    "Record-Route: <sip:a;lr>", "Record-Route: " + ",".join(["<sip:a>"] * 40), "Route: <sip:a>",
    "Max-Forwards: x",
    "Authorization: Digest " + ",".join(['a="b"'] * 40), "Authorization: x", "Authorization: Digest a",
    " folded",
    "\t",
    ":", "X", "X-A: " + "b" * 2100, "Allow: UPDATE",
)  # fmt: skip


def _space(lines: list[str], at: int, draw: random.Random) -> None:
    lines[at] = lines[at].replace(" ", draw.choice(["", "  ", "\t", "\r\n ", "\n"]))


def _cut_off(lines: list[str], at: int, draw: random.Random) -> None:
    del lines[draw.randrange(len(lines) + 1) :]


SPOILER = Spoiler(WORDS, LINES, (_space, _cut_off))


def spoiled(seed: int) -> bytes:
    """An INVITE with one to six mistakes: the same for the same seed."""
    draw = random.Random(seed)
    data = INVITES[draw.choice(sorted(INVITES))].decode("utf-8", "surrogateescape")
    return SPOILER.spoil(data, draw, head=25).encode("utf-8", "surrogateescape")
