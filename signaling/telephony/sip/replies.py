"""Answers as bytes (RFC 3261 §8.2.6), and what of us stands in messages. Pure.

What has to be repeated is repeated as it came, letter by letter; only the topmost Via is told where it came
from (RFC 3581).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rtc_stt.errors import BadRequest
from signaling.telephony.sip.allow_list import plain_address
from signaling.telephony.sip.message import Request, render
from signaling.telephony.sip.session_timer import MIN_SE
from signaling.telephony.sip.vocabulary import Flow

__all__ = ["ALLOWED", "CAPABILITIES", "KNOWN_OPTIONS", "Identity", "refusal", "reply", "where_to", "with_tag"]

ALLOWED = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "INFO")
KNOWN_OPTIONS = frozenset({"timer", "siprec"})
"""Extensions that an INVITE may require: RFC 4028, RFC 7866."""

CAPABILITIES = (
    ("Allow", ", ".join(ALLOWED)),
    ("Accept", "application/sdp, multipart/mixed, application/rs-metadata+xml, application/dtmf-relay"),
    ("Supported", ", ".join(sorted(KNOWN_OPTIONS, reverse=True))),
)
"""What we can do (RFC 3261 §11.2)."""

EXPLAINED = {415: CAPABILITIES[1:2], 422: (("Min-SE", str(MIN_SE)),)}
"""What else answers of these codes say."""

COMPACT = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i"}
WHENCE = re.compile(r"\s*;\s*(?:received|rport)\s*(?:=[^;]*)?(?=;|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to others."""

    address: str
    """An IP address."""
    port: int

    @property
    def host_port(self) -> str:
        """As it stands in URIs and Via."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    def contact(self, flow: Flow, *, is_recording: bool = False) -> tuple[str, str]:
        """Where requests of a dialog go. A recording server says that it is one (RFC 7866 §6.1.2)."""
        transport = ";transport=tcp" if flow.transport == "tcp" else ""
        return "Contact", f"<sip:rtc-stt@{self.host_port}{transport}>" + (";+sip.srs" if is_recording else "")

    def via(self, flow: Flow, branch: str) -> tuple[str, str]:
        """The Via of a request of ours."""
        return "Via", f"SIP/2.0/{flow.transport.upper()} {self.host_port};branch={branch};rport"


def refusal(error: BadRequest) -> tuple[int, str, tuple[tuple[str, str], ...]]:
    """Code, phrase and headers for what is wrong with a request. The phrase is ours, and quotes nothing."""
    return error.status, str(error), EXPLAINED.get(error.status, ())


def where_to(request: Request, flow: Flow) -> Flow:
    """Where an answer goes (RFC 3261 §18.2.2, RFC 3581 §4): back over the connection; over UDP to the address
    that it came from, and to the port as well if it asks for that, else to the port that Via names."""
    if flow.transport != "udp" or request.via is None or "rport" in request.via.parameters:
        return flow
    return replace(flow, port=request.via.port or 5060)


def with_tag(address: str, tag: str) -> str:
    """A To header with our tag."""
    return f"{address};tag={tag}"


def reply(
    request: Request,
    flow: Flow,
    code: int,
    phrase: str,
    *,
    tag: str = "",
    extra: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    compact: bool = False,
) -> bytes:
    """An answer.

    Args:
        tag: ours, where the request has none.
        compact: with the short names of headers (§7.3.3), to be small.
    """
    to = request.first("To")
    headers = [
        *(("Via", via) for via in _vias(request, flow)),
        ("From", request.first("From")),
        ("To", with_tag(to, tag) if tag and not request.to_tag else to),
        ("Call-ID", request.call_id),
        ("CSeq", request.first("CSeq")),
        *extra,
    ]
    if compact:
        headers = [(COMPACT.get(name, name), value) for name, value in headers]
    return render(f"SIP/2.0 {code} {phrase}", headers, body)


def _vias(request: Request, flow: Flow) -> Sequence[str]:
    top = request.vias[0]
    via = request.via
    if via is None:
        return request.vias
    asks, address = "rport" in via.parameters, plain_address(flow.address)
    if asks or via.host.strip("[]") != address:
        top = f"{WHENCE.sub('', top)};received={address}" + (f";rport={flow.port}" if asks else "")
    return [top, *request.vias[1:]]
