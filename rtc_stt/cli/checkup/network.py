"""Ports, keys, and the services that are asked."""

from __future__ import annotations

import errno
import socket
import urllib.error
import urllib.request
from collections.abc import Callable

from rtc_stt.cli.checkup.finding import Finding, bad, doubtful, good
from rtc_stt.config import Fallback
from rtc_stt.errors import ConfigError
from rtc_stt.instrument import Instrument
from signaling.app import make_gate
from signaling.keyring import load_keys
from signaling.settings import Access, Server, WebRtc
from signaling.telephony.phones import check_phones
from signaling.telephony.settings import Phones, Sip, Telephony
from signaling.udp import parse_port_range

__all__ = [
    "look_at_fallbacks",
    "look_at_keys",
    "look_at_phones",
    "look_at_port",
    "look_at_ports",
    "look_at_udp",
]

ASK_S = 3.0
"""For a fallback service to answer."""

BIND_ERRORS = {
    errno.EADDRINUSE: ("is taken", "end what uses it (ss -lntup tells), or choose another"),
    errno.EACCES: (
        "is not this user's to take",
        "choose one from 1024 on, or give the process CAP_NET_BIND_SERVICE",
    ),
    errno.EADDRNOTAVAIL: (
        "is on no address of this machine",
        "choose an address that `ip address` shows, or 0.0.0.0",
    ),
}


def look_at_port(name: str, host: str, port: int, *, udp: bool = False) -> Finding:
    """Whether a port can be listened on now."""
    about, kind = f"{name} {port}", socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    except OSError as error:
        return bad(
            about,
            f"{host} is no address ({error.strerror})",
            "choose one that `ip address` shows, or 0.0.0.0",
        )
    with socket.socket(family, kind) as sock:
        if not udp:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            says, mend = BIND_ERRORS.get(error.errno or 0, (str(error.strerror), "choose another"))
            return bad(about, f"{host}:{port} {says}", mend)
    return good(about, f"{host}:{port} is free")


def look_at_ports(server: Server, telephony: Telephony, sip: Sip) -> list[Finding]:
    """Every port that a configuration listens on."""
    findings = [look_at_port("PORT", server.host, server.port)]
    if telephony.audiosocket_port:
        findings.append(
            look_at_port("AUDIOSOCKET_PORT", telephony.audiosocket_host, telephony.audiosocket_port)
        )
    if sip.sip_port:
        findings += [look_at_port("SIP_PORT", sip.sip_host, sip.sip_port, udp=udp) for udp in (False, True)]
    return findings


def look_at_phones(server: Server, access: Access, phones: Phones) -> list[Finding]:
    """Whether phone calls could be taken with these settings, without which the gateway does not start."""
    try:
        gate = make_gate(server, access, Instrument())
    except ConfigError:  # what is wrong with keys is told of where they are looked at
        return []
    try:
        check_phones(server, phones, gate.authority)
    except ConfigError as error:
        return [bad("phone calls", str(error), "see docs/guides/calls.md, and rtc-stt config reference")]
    return [good("phone calls", "their settings are right")]


def look_at_udp(server: Server, webrtc: WebRtc) -> list[Finding]:
    """Whether clients have a way in for their audio. Pure."""
    try:
        ports = parse_port_range(webrtc.udp_port_range)
    except ConfigError as error:
        return [bad("UDP_PORT_RANGE", str(error), "write it as 50000-50999")]
    findings = []
    if ports is not None and len(ports) < server.max_sessions:
        findings.append(
            doubtful(
                "UDP_PORT_RANGE",
                f"{len(ports)} ports, and MAX_SESSIONS is {server.max_sessions}: each session takes "
                f"one or more",
                "widen it, or lower MAX_SESSIONS",
            )
        )
    if not server.is_loopback and not webrtc.turn_url:
        findings.append(
            doubtful(
                "TURN_URL",
                "none: who sits behind a firewall without UDP gets no audio through",
                "see docs/guides/networks.md",
            )
        )
    return findings or [good("UDP", "any port" if ports is None else f"{len(ports)} ports")]


def look_at_keys(server: Server, access: Access) -> list[Finding]:
    """Whether the server would be open, and to whom."""
    try:
        keys = load_keys(server, access, warn=False)
    except ConfigError as error:
        return [bad("keys", str(error), "set API_KEYS or API_KEYS_FILE, see docs/guides/keys.md")]
    if keys:
        return [good("keys", f"{len(keys)} are good")]
    if server.is_loopback:
        return [good("keys", "none: open to this machine, and to nobody else")]
    return [
        doubtful("keys", f"none: open to everyone who reaches {server.host}", "set API_KEYS or API_KEYS_FILE")
    ]


def _ask(url: str) -> int:
    """The status of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=ASK_S) as answer:  # noqa: S310 — FALLBACK_URL is http or https
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def look_at_fallbacks(fallback: Fallback, ask: Callable[[str], int] = _ask) -> list[Finding]:
    """Whether the services of ``FALLBACK_URL`` are there."""
    findings: list[Finding] = []
    for number, url in enumerate(fallback.urls, 1):
        about = f"FALLBACK_URL {number}"
        try:
            status = ask(f"{url.rstrip('/')}/v1/ready")
        except (OSError, ValueError) as error:
            findings.append(
                doubtful(
                    about,
                    f"{url} does not answer ({_why(error)})",
                    "start it first; until then fast texts stand",
                )
            )
            continue
        if status == 200:
            findings.append(good(about, f"{url} is ready"))
        else:
            findings.append(
                doubtful(
                    about, f"{url} answers {status} to /v1/ready", "wait for its models, or look at its log"
                )
            )
    return findings


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or type(reason).__name__
