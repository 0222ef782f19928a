"""Whose pages may use this server, and under which names: pure decisions over headers.

A page of any site can send requests to ``http://localhost:8080``, and by DNS rebinding even under a name of
its own. The ``Origin`` header tells the first, the ``Host`` header the second.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from rtc_stt.errors import ConfigError, Forbidden

__all__ = ["Origins"]

ALLOWED_HEADERS = (
    "Authorization, Content-Type, If-Match, Resume-Token, Resume-From, X-Request-Id, traceparent"
)
EXPOSED_HEADERS = "Location, ETag, Link, X-Req-Id, X-Request-Id, Retry-After"
PREFLIGHT_SECONDS = 600


class Origins:
    """Decides by ``Origin`` and ``Host``.

    Args:
        allowed: origins besides the server's own; ``*`` for all.
        local_only: whether only names of this machine are answered: an open server on loopback.

    Raises:
        ConfigError: one of them is no origin.
    """

    def __init__(self, allowed: Sequence[str], *, local_only: bool = False) -> None:
        self._any = "*" in allowed
        self._allowed = frozenset(_checked(origin) for origin in allowed if origin != "*")
        self._hosts = frozenset(urlsplit(origin).hostname or "" for origin in self._allowed)
        self._local_only = local_only

    def check_host(self, host: str) -> None:
        """See that the client knows where it is (DNS rebinding).

        Raises:
            Forbidden: the ``Host`` header is no name of this server.
        """
        if not self._local_only or self._any:
            return
        name = _hostname(host)
        if name != "localhost" and name not in self._hosts and not _is_loopback(name):
            raise Forbidden(
                "this server is open to its own machine only, and that is not called so: use "
                "http://localhost, or name the origin in ALLOWED_ORIGINS"
            )

    def check(self, origin: str | None, host: str, *, any_port: bool = False) -> None:
        """See that the page may use this server.

        Args:
            any_port: a page of another port of this host may: WebSocket clients that are no browsers make up
                an origin of the name alone.

        Raises:
            Forbidden: it is a page of another origin.
        """
        if origin is None or self._is_own(origin, host) or self._is_allowed(origin):
            return
        if not any_port or _hostname(origin.partition("://")[2]) != _hostname(host):
            raise Forbidden("pages of this origin may not use this server: name it in ALLOWED_ORIGINS")

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """What lets a page of another origin read a response; without credentials: there are no cookies."""
        if origin is None or not self._is_allowed(origin):
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": "*" if self._any else origin,
            "Access-Control-Expose-Headers": EXPOSED_HEADERS,
            "Vary": "Origin",
        }

    def preflight_headers(self, methods: str) -> Mapping[str, str]:
        """What a preflight asks for, besides :meth:`headers`."""
        return {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        }

    def _is_allowed(self, origin: str) -> bool:
        return self._any or origin.lower() in self._allowed

    def _is_own(self, origin: str, host: str) -> bool:
        # Only the host: behind a proxy that ends TLS the scheme is not known here.
        return "://" in origin and origin.lower().partition("://")[2] == host.lower()


def _checked(origin: str) -> str:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        raise ConfigError(f"ALLOWED_ORIGINS: {origin!r} is no origin; write it like https://app.example.org")
    return origin.lower()


def _hostname(host: str) -> str:
    """A ``Host`` header without its port and brackets."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
