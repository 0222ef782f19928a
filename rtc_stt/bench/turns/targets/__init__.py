"""What can be measured, by name. Adapters that a run does not need are not imported.

What one kind alone knows is a *setting*: ``model`` of a server, ``command`` of a recogniser of files. One
that a kind does not know is refused rather than ignored.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtc_stt.bench.link import Conditions
from rtc_stt.bench.turns.target import Target
from rtc_stt.bench.voice import MakeSpeech
from rtc_stt.errors import ConfigError

__all__ = ["KINDS", "SETTINGS", "Options", "make"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may say about a target."""

    url: str | None = None
    """Of a server that runs."""
    key: str | None = None
    """Its API key."""
    hangover_ms: int = 500
    language: str | None = None
    """For targets that are told when they start. The others are told with each line."""
    network: Conditions | None = None
    make_speech: MakeSpeech | None = None
    """Loads our models, for the target in this process."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """By name, of :data:`SETTINGS`."""


def _in_process(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.in_process import InProcess

    if options.make_speech is None:
        raise ConfigError("the target in-process needs models: say how they are loaded (make_speech)")
    return InProcess(options.make_speech, hangover_ms=options.hangover_ms)


def _webrtc(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.webrtc import OverWebRtc

    return OverWebRtc(options.url, key=options.key, hangover_ms=options.hangover_ms, network=options.network)


def _websocket(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.websocket import OverWebSocket

    return OverWebSocket(options.url, key=options.key, hangover_ms=options.hangover_ms)


def _openai(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.openai_realtime import OpenAIRealtimeTarget

    return OpenAIRealtimeTarget(
        url=_url(options, "wss://api.openai.com/v1/realtime"),
        key=options.key,
        hangover_ms=options.hangover_ms,
        model=options.settings.get("model", "gpt-4o-transcribe"),
        form="beta" if _one_of(options, "form", "ga", "beta") == "beta" else "ga",
    )


def _deepgram(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.deepgram import DeepgramTarget

    return DeepgramTarget(
        url=_url(options, "wss://api.deepgram.com/v1/listen"),
        key=options.key,
        hangover_ms=options.hangover_ms,
        model=options.settings.get("model"),
        finals="segment" if _one_of(options, "finals", "turn", "segment") == "segment" else "turn",
    )


def _files(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.files import FilesTarget

    command = options.settings.get("command")
    if (command is None) == (options.url is None):
        raise ConfigError(
            "the target files needs either --url of a service, or --set 'command=PROGRAM … {file}'"
        )
    return FilesTarget(
        url=options.url,
        command=command,
        key=options.key,
        hangover_ms=options.hangover_ms,
        model=options.settings.get("model", "whisper-1"),
    )


def _bridge(options: Options) -> Target:
    from rtc_stt.bench.turns.targets.bridge import BridgeTarget

    command, threads = options.settings.get("command"), options.settings.get("threads", "1")
    if not command:
        raise ConfigError("the target bridge needs a script: --set 'command=/path/to/python script.py'")
    if not threads.isdecimal() or threads == "0":
        raise ConfigError(f"threads={threads!r} is no number of threads, such as 1")
    return BridgeTarget(
        argv=shlex.split(command),
        model=options.settings.get("model"),
        hangover_ms=options.hangover_ms,
        threads=int(threads),
        language=options.language,
    )


KINDS: dict[str, Callable[[Options], Target]] = {
    "webrtc": _webrtc,
    "websocket": _websocket,
    "in-process": _in_process,
    "openai": _openai,
    "deepgram": _deepgram,
    "files": _files,
    "bridge": _bridge,
}
"""Every kind of target."""

SETTINGS: dict[str, tuple[str, ...]] = {
    "openai": ("model", "form"),
    "deepgram": ("model", "finals"),
    "files": ("command", "model"),
    "bridge": ("command", "model", "threads"),
}
"""What each kind alone knows."""


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
    if chosen.url and kind in ("in-process", "bridge"):
        raise ConfigError(f"the target {kind} has no URL; leave out --url, or name another --target")
    known = SETTINGS.get(kind, ())
    if unknown := sorted(set(chosen.settings) - set(known)):
        there_are = f"it knows {', '.join(known)}" if known else "it knows none"
        raise ConfigError(f"the target {kind} has no setting {', '.join(unknown)}; {there_are}")
    return KINDS[kind](chosen)


def _url(options: Options, example: str) -> str:
    """The URL, which must be said: nobody sends a voice to another company by default."""
    if not options.url:
        raise ConfigError(f"this target needs --url, such as {example}")
    return options.url


def _one_of(options: Options, name: str, *values: str) -> str:
    """A setting that is one of these; the first where nothing is said."""
    value = options.settings.get(name, values[0])
    if value not in values:
        raise ConfigError(f"{name}={value!r} is none of {', '.join(values)}")
    return value
