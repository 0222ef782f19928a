"""The server's own configuration keys; those of recognition are in :mod:`rtc_stt.config`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from rtc_stt.config_keys import key
from rtc_stt.errors import ConfigError

__all__ = ["Server"]

MIN_KEY_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the gateway listens, who may use it, and how many at a time."""

    host: str = key("HOST", "127.0.0.1", "Address to listen on.")
    port: int = key("PORT", 8080, "Port to listen on; 0 takes a free one.", low=0, high=65_535)
    api_keys: tuple[str, ...] = key(
        "API_KEYS", (), "Comma list. Empty: open to everyone who can reach the port.", secret=True
    )
    allow_open: bool = key("ALLOW_OPEN", False, "Serve without keys on an address that others can reach.")
    max_sessions: int = key(
        "MAX_SESSIONS", 32, "Sessions at a time; more are refused with 503.", low=1, high=100_000
    )
    drain_seconds: float = key(
        "DRAIN_SECONDS",
        15.0,
        "How long open utterances may take to end after SIGTERM.",
        low=0,
        high=600,
    )

    def __post_init__(self) -> None:
        if any(len(k) < MIN_KEY_CHARS for k in self.api_keys):
            raise ConfigError(f"API_KEYS: a key has at least {MIN_KEY_CHARS} characters")
        if not self.api_keys and not self.allow_open and not self.is_loopback:
            raise ConfigError(
                f"HOST={self.host} can be reached by others and API_KEYS is empty: set API_KEYS, or say "
                "ALLOW_OPEN=true if everyone may use this server."
            )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
