"""What is configured of decode workers that run in Ray Serve: read by ``rtc-stt workers deploy``."""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt.config_keys import key
from rtc_stt.errors import ConfigError

__all__ = ["Replicas", "read_ports", "read_span"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """The decode workers that `rtc-stt workers deploy` puts on a Ray cluster."""

    fast: str = key("FAST_REPLICAS", "1", "Replicas of the fast model: a number, or 1-4 to scale by load.")
    accurate: str = key("ACCURATE_REPLICAS", "1", "Likewise of the accurate one, where there is one.")
    fast_gpus: float = key(
        "FAST_GPUS",
        0.0,
        "GPU that one of them takes; 0.5 puts two on each. 0: it decodes on CPU.",
        low=0,
        high=8,
    )
    accurate_gpus: float = key("ACCURATE_GPUS", 0.0, "Likewise.", low=0, high=8)
    scale_up_audio_s: float = key(
        "SCALE_UP_AUDIO_S",
        2.0,
        "Audio that may wait for each replica, in seconds, before there are more of them.",
        low=0.1,
        high=600,
    )
    scale_down_after_s: float = key(
        "SCALE_DOWN_AFTER_S", 300.0, "How long fewer must do before there are fewer.", low=1, high=86_400
    )
    surge: bool = key(
        "UPDATE_SURGE",
        True,
        "In a rolling update new replicas start before old ones stop, which needs room for one in four more. "
        "false: old ones stop first, and a tier of one replica is away while its model loads.",
    )
    ports: str = key(
        "WORKERS_PORTS",
        "",
        "Ports that replicas listen on, such as 40100-40199, for a firewall. Empty: any free one.",
    )
    drain_s: float = key(
        "WORKERS_DRAIN_S", 20.0, "How long a replica that is to go finishes what it has.", low=1, high=600
    )
    http_port: int = key(
        "WORKERS_HTTP_PORT",
        8000,
        "Where Serve's HTTP proxies listen: the PORT in ENGINE.",
        low=1,
        high=65_535,
    )

    def __post_init__(self) -> None:
        read_span("FAST_REPLICAS", self.fast)
        read_span("ACCURATE_REPLICAS", self.accurate)
        read_ports(self.ports)


def read_span(name: str, text: str) -> tuple[int, int]:
    """``3`` or ``1-4``.

    Raises:
        ConfigError: it is neither.
    """
    low, dash, high = text.partition("-")
    try:
        floor, ceiling = int(low), int(high if dash else low)
    except ValueError:
        floor, ceiling = 0, 0
    if not 1 <= floor <= ceiling <= 500:
        raise ConfigError(
            f"{name}: {text!r} is neither a number of replicas nor a range like 1-4 (500 at most)"
        )
    return floor, ceiling


def read_ports(text: str) -> tuple[int, int] | None:
    """``40100-40199``; None where any port will do.

    Raises:
        ConfigError: it is no such range.
    """
    if not text:
        return None
    low, _, high = text.partition("-")
    try:
        first, last = int(low), int(high)
    except ValueError:
        first, last = 0, 0
    if not 1024 <= first <= last <= 65_535:
        raise ConfigError(f"WORKERS_PORTS: {text!r} is no range of ports like 40100-40199")
    return first, last
