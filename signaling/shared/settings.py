"""Configuration keys of what gateways share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from rtc_stt.config_keys import key
from rtc_stt.errors import ConfigError

__all__ = ["Sharing"]

NAME = re.compile(r"[a-z0-9]{1,24}")
PREFIX = re.compile(r"[!-~]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Several gateways behind one address."""

    redis_url: str = key(
        "REDIS_URL",
        "",
        "redis://[:password@]host:port/db, or rediss:// for TLS: where gateways share limits, sessions and "
        "usage. Empty: this one is alone.",
        secret=True,
    )
    redis_prefix: str = key("REDIS_PREFIX", "rtc-stt:", "What all keys in Redis begin with.")
    redis_ca: str = key(
        "REDIS_CA", "", "File of the authority that signed the certificate of a rediss:// server."
    )
    redis_timeout_ms: int = key(
        "REDIS_TIMEOUT_MS",
        50,
        "How long Redis may take to answer; after that this gateway goes on alone for a second.",
        low=5,
        high=5_000,
    )
    node_name: str = key(
        "NODE_NAME",
        "",
        "Short name of this gateway, letters a-z and digits: ids of its sessions begin with it. Empty: made "
        "of host name and port.",
    )
    node_url: str = key(
        "NODE_URL",
        "",
        "Under which the other gateways reach this one, e.g. http://10.0.0.7:8080. Empty: they do not.",
    )
    resume_across_nodes: bool = key(
        "RESUME_ACROSS_NODES",
        False,
        "Keep what a client has not acknowledged in Redis, so that another gateway can tell it: transcripts, "
        "for RESUME_SECONDS at most.",
    )

    def __post_init__(self) -> None:
        parts = urlsplit(self.redis_url)
        if self.redis_url and (parts.scheme not in ("redis", "rediss") or not parts.hostname):
            raise ConfigError("REDIS_URL: it is no URL like redis://:password@10.0.0.5:6379/0")
        if self.redis_ca and parts.scheme != "rediss":
            raise ConfigError("REDIS_CA: it is for a REDIS_URL that begins with rediss://")
        if not PREFIX.fullmatch(self.redis_prefix):
            raise ConfigError("REDIS_PREFIX: up to 64 characters of ASCII, without spaces")
        if self.node_name and not NAME.fullmatch(self.node_name):
            raise ConfigError("NODE_NAME: 1 to 24 of a-z and 0-9")
        parts = urlsplit(self.node_url)
        if self.node_url and (
            parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username
        ):
            raise ConfigError("NODE_URL: it is no URL like http://10.0.0.7:8080")
        if self.resume_across_nodes and not self.redis_url:
            raise ConfigError("RESUME_ACROSS_NODES=true needs REDIS_URL: set it, or leave it false")
