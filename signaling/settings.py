"""The server's own configuration keys; those of recognition are in :mod:`rtc_stt.config`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from rtc_stt.config_keys import key
from rtc_stt.errors import ConfigError
from signaling.forwarding import parse_proxies
from signaling.ice import IceServers
from signaling.origins import Origins

__all__ = ["MIN_KEY_CHARS", "Access", "Logs", "Server", "WebRtc"]

MIN_KEY_CHARS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the gateway listens, who may use it, and how many at a time."""

    host: str = key("HOST", "127.0.0.1", "Address to listen on.")
    port: int = key("PORT", 8080, "Port to listen on; 0 takes a free one.", low=0, high=65_535)
    api_keys: tuple[str, ...] = key(
        "API_KEYS",
        (),
        "Comma list. None here nor in API_KEYS_FILE: open to everyone who can reach the port.",
        secret=True,
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

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may come in, how many, and how often."""

    max_sessions_per_key: int = key(
        "MAX_SESSIONS_PER_KEY",
        0,
        "Sessions at a time of one key; 0: as many as MAX_SESSIONS.",
        low=0,
        high=100_000,
    )
    max_sessions_per_address: int = key(
        "MAX_SESSIONS_PER_ADDRESS",
        0,
        "Sessions at a time from one address; 0: as many as MAX_SESSIONS. Many people may share one address.",
        low=0,
        high=100_000,
    )
    max_half_open: int = key(
        "MAX_HALF_OPEN", 32, "Offers answered and not yet connected, in all.", low=1, high=10_000
    )
    max_half_open_per_key: int = key(
        "MAX_HALF_OPEN_PER_KEY",
        4,
        "Likewise of one key, or where there are none of one address, this machine's excepted.",
        low=1,
        high=10_000,
    )
    rate_limit_rps: float = key(
        "RATE_LIMIT_RPS",
        5.0,
        "Offers, recordings, tokens … a second of one key, or without keys of one address, this machine's "
        "excepted. Of primary and fallback 100, with a burst of 200.",
        low=0.01,
        high=10_000,
    )
    rate_limit_burst: int = key("RATE_LIMIT_BURST", 20, "So many at once after a rest.", low=1, high=10_000)
    token_seconds: int = key(
        "TOKEN_SECONDS",
        120,
        "How long a browser's token may be used to begin its one session.",
        low=5,
        high=3600,
    )
    token_secret: str = key(
        "TOKEN_SECRET",
        "",
        "Signs tokens; the same on every machine behind one address. Empty: drawn at start.",
        secret=True,
    )
    allowed_origins: tuple[str, ...] = key(
        "ALLOWED_ORIGINS",
        (),
        "Comma list of origins whose pages may use this server, besides its own page; * for all.",
    )
    trusted_proxies: tuple[str, ...] = key(
        "TRUSTED_PROXIES", (), "Comma list of addresses or networks whose X-Forwarded-For is believed."
    )
    api_keys_file: str = key(
        "API_KEYS_FILE",
        "",
        "A file of further keys, one a line, with limits of their own; read again on SIGHUP.",
    )
    daily_audio_seconds: float = key(
        "DAILY_AUDIO_SECONDS",
        0,
        "Audio that one key may have transcribed in a day (UTC), in seconds; 0: as much as it likes.",
        low=0,
        high=1e9,
    )
    usage_db: str = key(
        "USAGE_DB",
        "",
        "SQLite file that remembers what each key has used. Empty: forgotten when the process ends.",
    )
    redirect_url: str = key(
        "REDIRECT_URL",
        "",
        "Where a full server sends clients (307) instead of refusing them, e.g. https://b.example.",
    )

    def __post_init__(self) -> None:
        if self.token_secret and len(self.token_secret) < MIN_KEY_CHARS:
            raise ConfigError(f"TOKEN_SECRET: it has at least {MIN_KEY_CHARS} characters")
        parts = urlsplit(self.redirect_url)
        if self.redirect_url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query):
            raise ConfigError(f"REDIRECT_URL: {self.redirect_url!r} is no URL like https://b.example.org")
        parse_proxies(self.trusted_proxies)
        Origins(self.allowed_origins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logs:
    """What the log tells of people."""

    addresses: bool = key("LOG_ADDRESSES", False, "Write to the access log where each request came from.")
    transcripts: bool = key("LOG_TRANSCRIPTS", False, "Write what people say to the log, at level info.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRtc:
    """How media finds its way, and how long a lost client is waited for."""

    ice_servers: tuple[str, ...] = key(
        "ICE_SERVERS", (), "Comma list of stun: URLs told to clients, e.g. stun:stun.example.org:3478."
    )
    turn_url: tuple[str, ...] = key(
        "TURN_URL",
        (),
        "Comma list of turn: or turns: URLs told to clients with credentials made by TURN_SECRET.",
    )
    turn_secret: str = key("TURN_SECRET", "", "coturn's static-auth-secret.", secret=True)
    turn_seconds: int = key(
        "TURN_SECONDS", 3600, "How long TURN credentials are good for.", low=60, high=86_400
    )
    udp_port_range: str = key(
        "UDP_PORT_RANGE", "", "UDP ports of media, e.g. 50000-50999; one a session. Empty: any free ones."
    )
    public_ip: tuple[str, ...] = key(
        "PUBLIC_IP", (), "Comma list: the addresses under which clients reach this machine behind 1:1 NAT."
    )
    resume_seconds: float = key(
        "RESUME_SECONDS", 60.0, "How long a session waits for a client that was lost.", low=0, high=3600
    )
    media_workers: int = key(
        "MEDIA_WORKERS", 0, "Processes that carry the media; 0: this one carries it itself.", low=0, high=256
    )

    def __post_init__(self) -> None:
        IceServers(self.ice_servers, self.turn_url, self.turn_secret, self.turn_seconds)
        for address in self.public_ip:
            try:
                ipaddress.ip_address(address)
            except ValueError:
                raise ConfigError(f"PUBLIC_IP: {address!r} is no IPv4 or IPv6 address") from None
