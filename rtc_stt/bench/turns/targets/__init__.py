"""What can be measured, by name. Adapters that a run does not need are not imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.bench.link import Conditions
from rtc_stt.bench.turns.target import Target
from rtc_stt.bench.voice import MakeSpeech
from rtc_stt.errors import ConfigError

__all__ = ["KINDS", "Options", "make"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may say about a target; each takes what it has a use for."""

    url: str | None = None
    """Of a server that runs."""
    key: str | None = None
    """Its API key."""
    hangover_ms: int = 500
    network: Conditions | None = None
    make_speech: MakeSpeech | None = None
    """Loads our models, for the target in this process."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What one kind alone knows, by name. Over WebRTC and WebSocket: configuration of the server that is
    started."""


def _in_process(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.in_process import InProcess

    if options.make_speech is None:
        raise ConfigError("the target in-process needs models: say how they are loaded (make_speech)")
    if options.url:
        raise ConfigError("the target in-process has no URL; leave out --url, or name another --target")
    return InProcess(options.make_speech, hangover_ms=options.hangover_ms)


def _webrtc(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.webrtc import OverWebRtc

    return OverWebRtc(
        options.url,
        key=options.key,
        hangover_ms=options.hangover_ms,
        network=options.network,
        configuration=options.settings,
    )


def _websocket(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.websocket import OverWebSocket

    return OverWebSocket(
        options.url, key=options.key, hangover_ms=options.hangover_ms, configuration=options.settings
    )


KINDS: dict[str, Callable[[Options], Target]] = {
    "webrtc": _webrtc,
    "websocket": _websocket,
    "in-process": _in_process,
}
"""Every kind of target."""


def make(kind: str, **options: Any) -> Target:
    """A target of one of :data:`KINDS`, not started yet. ``options`` are those of :class:`Options`.

    Raises:
        ConfigError: there is no such kind, or it cannot do what is asked.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no target {kind!r}; there are {', '.join(KINDS)}")
    chosen = Options(**options)
    if chosen.network and kind != "webrtc":
        raise ConfigError("packets are lost and late on the WebRTC path only: say --target webrtc")
    return KINDS[kind](chosen)
