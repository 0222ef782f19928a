"""INVITEs in the shapes that PBXs, phones and carriers send, and spoiled ones."""

from __future__ import annotations

import random
from pathlib import Path

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


def spoiled(seed: int) -> bytes:
    """An INVITE with one to six mistakes: the same for the same seed."""
    draw = random.Random(seed)
    data = INVITES[draw.choice(sorted(INVITES))]
    for _ in range(draw.randint(1, 6)):
        lines = data.decode("utf-8", "surrogateescape").split("\r\n")
        at = draw.randrange(min(len(lines), 25))
        match draw.randrange(9):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[draw.randrange(len(lines))])
            case 2:
                lines.insert(at, draw.choice(LINES))
            case 3:
                lines[at] = draw.choice(LINES)
            case 4:
                words = lines[at].split(" ")
                words[draw.randrange(len(words))] = draw.choice(WORDS)
                lines[at] = " ".join(words)
            case 5:
                name, colon, value = lines[at].partition(":")
                lines[at] = name + colon + draw.choice([draw.choice(WORDS), value + draw.choice(WORDS)])
            case 6:
                cut = draw.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:cut] + draw.choice(WORDS) + lines[at][cut:]
            case 7:
                lines[at] = lines[at].replace(" ", draw.choice(["", "  ", "\t", "\r\n ", "\n"]))
            case 8:
                lines = lines[: draw.randrange(len(lines) + 1)]
        if not lines:
            lines = [""]
        data = "\r\n".join(lines).encode("utf-8", "surrogateescape")
    return data
