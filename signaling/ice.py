"""Which STUN and TURN servers clients are told of, and the credentials for them: pure.

TURN credentials are those of coturn's ``use-auth-secret`` (draft-uberti-behave-turn-rest §2.2): the username
says when they expire, the password is an HMAC of it. The secret stays here.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.errors import ConfigError

__all__ = ["IceServer", "IceServers"]

URL = re.compile(
    r"(stuns?|turns?):(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<transport>\?transport=(?:udp|tcp))?"
)
"""RFC 7064 §3.1, RFC 7065 §3.1."""


@dataclass(frozen=True, slots=True)
class IceServer:
    """As ``RTCIceServer`` has it."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None

    def as_mapping(self) -> dict[str, Any]:
        """For ``RTCPeerConnection({iceServers})``."""
        told: dict[str, Any] = {"urls": list(self.urls)}
        if self.username is not None:
            told |= {"username": self.username, "credential": self.credential}
        return told

    def links(self) -> list[str]:
        """``Link`` header fields (RFC 9725 §4.6), one for each URL."""
        more = ""
        if self.username is not None:
            more = f'; username="{self.username}"; credential="{self.credential}"; credential-type="password"'
        return [f'<{url}>; rel="ice-server"{more}' for url in self.urls]


class IceServers:
    """The configured ones.

    Args:
        stun: ``stun:`` URLs.
        turn: ``turn:`` and ``turns:`` URLs, all of one secret.
        secret: coturn's ``static-auth-secret``.
        seconds: how long credentials are good for; coturn refuses new allocations after that.

    Raises:
        ConfigError: a URL is none, or TURN lacks its secret.
    """

    def __init__(self, stun: Sequence[str], turn: Sequence[str], secret: str, seconds: int) -> None:
        for name, urls, schemes in (("ICE_SERVERS", stun, "stun"), ("TURN_URL", turn, "turn")):
            for url in urls:
                _check(name, url, schemes)
        if turn and not secret:
            raise ConfigError("TURN_URL is set and TURN_SECRET is not: set it to coturn's static-auth-secret")
        self._stun, self._turn = tuple(stun), tuple(turn)
        self._secret = secret.encode()
        self.seconds = seconds

    def told(self, user: str, now: float) -> list[IceServer]:
        """For a client, with credentials of its own.

        Args:
            user: tells users apart in the TURN server's log and quota; no secret, no ``:``.
            now: Unix time in seconds.
        """
        servers = [IceServer(self._stun)] if self._stun else []
        if self._turn:
            username = f"{int(now) + self.seconds}:{user}"
            digest = hmac.digest(self._secret, username.encode(), "sha1")
            servers.append(IceServer(self._turn, username, base64.b64encode(digest).decode()))
        return servers


def _check(name: str, url: str, scheme: str) -> None:
    match = URL.fullmatch(url)
    if not match or not match[1].startswith(scheme):
        raise ConfigError(
            f"{name}: {url!r} is no {scheme}: URL; write it like {scheme}:{scheme}.example.org:3478"
        )
    if match["port"] and not 0 < int(match["port"]) < 65_536:
        raise ConfigError(f"{name}: {url!r} has no port from 1 to 65535")
    if match["transport"] and scheme == "stun":
        raise ConfigError(f"{name}: {url!r}: a stun: URL names no transport (RFC 7064)")
