"""What the commands share: options, configuration, logging, and the engines that a configuration asks for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rtc_stt.config import Decoding, Endpointing, Fallback, Recordings, Routing, StreamOptions
from rtc_stt.config_keys import Values, build, keys, read_env_file, read_environment
from rtc_stt.decode_pool import DecodePool, Engine
from rtc_stt.engines import WhisperEngine
from rtc_stt.engines.fetch import locate
from rtc_stt.errors import ConfigError, ModelError
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.logs import LogOptions, set_up
from rtc_stt.session import Speech
from rtc_stt.vad import SileroDetector, VadBatcher
from signaling.settings import Access, Server, WebRtc

__all__ = [
    "GROUPS",
    "add_common",
    "add_config",
    "add_parser",
    "load_engines",
    "make_speech",
    "read_values",
    "set_up_logging",
    "stream_options",
]

GROUPS: tuple[type, ...] = (
    Server, Access, WebRtc, Recordings, Decoding, Routing, Fallback, Endpointing, StreamOptions,
)  # fmt: skip
"""Every group of configuration keys."""

T = TypeVar("T")


def add_parser(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help: str, example: str
) -> argparse.ArgumentParser:
    """A sub-command with its example."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options that every command has."""
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="warning")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Where the configuration comes from."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="KEY=value lines (default: $CONFIG_PATH)")


def read_values(options: argparse.Namespace, **flags: object) -> Values:
    """File, environment and flags, later over earlier. ``flags`` are keys in lower case; None is not set."""
    known = [spec.name for group in GROUPS for spec in keys(group).values()]
    path = getattr(options, "config", None) or os.environ.get("CONFIG_PATH")
    values = read_env_file(Path(path), known) if path else Values({})
    values = read_environment(known).over(values)
    given = {
        name.upper(): (str(value), f"--{name.replace('_', '-')}")
        for name, value in flags.items()
        if value is not None
    }
    return Values(given).over(values)


def stream_options(values: Values) -> StreamOptions:
    """The defaults of every session."""
    import dataclasses

    options = build(StreamOptions, values)
    return dataclasses.replace(options, endpointing=build(Endpointing, values))


def load_engines(decoding: Decoding) -> tuple[dict[Tier, Engine], int]:
    """Load the configured models: engines by tier, and decodes at a time.

    Raises:
        ModelError: a model is not configured, cannot be found or loaded. Nothing stands in for it.
    """
    if not decoding.small_path:
        raise ModelError(
            "no model: set CT2_SMALL_PATH to a CTranslate2 folder or to a name such as small "
            "(it is fetched on first start), or try rtc-stt demo, which brings its own"
        )
    paths = {Tier.FAST: decoding.small_path}
    if decoding.medium_path:
        paths[Tier.ACCURATE] = decoding.medium_path
    on_cpu = decoding.device == "cpu" or (decoding.device == "auto" and not _has_cuda())
    concurrency = decoding.max_concurrency or ((os.cpu_count() or 1) if on_cpu else 1)
    engines: dict[Tier, Engine] = {}
    for tier, path in paths.items():
        folder, name = locate(path)
        engine = WhisperEngine(
            folder,
            name=name,
            device=decoding.device,
            device_index=decoding.device_index,
            compute_type=decoding.compute_type,
            cpu_threads=decoding.cpu_threads,
            workers=concurrency,
            beam_size=decoding.beam_size if tier is Tier.ACCURATE else 1,
            context_policy=decoding.context_policy,
        )
        engine.warm_up(decoding.max_batch)
        engines[tier] = engine
    return engines, concurrency


def make_speech(values: Values, instrument: Instrument | None = None, *, live: bool = True) -> Speech:
    """Everything that sessions share, warm.

    Args:
        live: whether speakers wait for their transcripts, so that under load things are left out.
    """
    instrument = instrument or Instrument()
    options, routing, decoding = stream_options(values), build(Routing, values), build(Decoding, values)
    engines, concurrency = load_engines(decoding)
    if unknown := sorted(set(options.languages) - engines[Tier.FAST].languages):
        known = ", ".join(sorted(engines[Tier.FAST].languages))
        raise ConfigError(f"LANGUAGES: the model does not know {', '.join(unknown)}; it knows {known}")
    # From a request in the pause to the last moment at which its answer would be heard.
    patience_s = (options.endpointing.min_silence_ms + routing.redecode_deadline_ms) / 1000
    return Speech(
        vad=VadBatcher(SileroDetector()),
        pool=DecodePool(
            engines,
            concurrency=concurrency,
            max_batch=decoding.max_batch,
            queue_limit=decoding.queue_limit,
            queue_limit_mb=decoding.queue_limit_mb,
            hang_s=decoding.decode_hang_s,
            patience_s=patience_s if live else None,
            fallback=build(Fallback, values),
            adaptive=live,
            instrument=instrument,
        ),
        options=options,
        routing=routing,
        instrument=instrument,
    )


def _has_cuda() -> bool:
    import ctranslate2

    return bool(ctranslate2.get_cuda_device_count())


def set_up_logging(options: argparse.Namespace) -> LogOptions:
    """Log to standard error, in the chosen form. Returns it, for processes that this one starts."""
    chosen = LogOptions(options.log_format, options.log_level)
    set_up(chosen)
    return chosen
