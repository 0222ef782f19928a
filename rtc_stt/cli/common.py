"""What the commands share: options, configuration, logging, and the engines that a configuration asks for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
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
    "Model",
    "add_common",
    "add_config",
    "add_key",
    "add_parser",
    "both_models",
    "load_engines",
    "make_speech",
    "medium_model",
    "read_values",
    "runs_on_cpu",
    "set_up_logging",
    "small_model",
    "stream_options",
]

GROUPS: tuple[type, ...] = (
    Server, Access, WebRtc, Recordings, Decoding, Routing, Fallback, Endpointing, StreamOptions,
)  # fmt: skip
"""Every group of configuration keys."""

KEY_VARIABLE = "RTC_STT_KEY"
"""The API key of a server that a command talks to."""

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


def add_key(to: Any) -> None:
    """The API key of a server that is measured: as a flag, or where nobody sees it in a list of processes."""
    to.add_argument(
        "--key",
        default=os.environ.get(KEY_VARIABLE),
        help=f"its API key; better in {KEY_VARIABLE}, for others on this machine can see a command line",
    )


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


@dataclass(frozen=True, slots=True)
class Model:
    """One that is to be loaded."""

    path: str
    """See :func:`~rtc_stt.engines.fetch.locate`."""
    beam_size: int = 1


def both_models(decoding: Decoding) -> dict[Tier, Model]:
    """What the gateway loads: the fast model, and the accurate one if there is one.

    Raises:
        ModelError: there is no fast model.
    """
    models = {Tier.FAST: small_model(decoding, "rtc-stt demo")}
    if decoding.medium_path:
        models[Tier.ACCURATE] = Model(decoding.medium_path, decoding.beam_size)
    return models


def small_model(decoding: Decoding, demo: str) -> Model:
    """The fast model.

    Args:
        demo: the command that brings its own.

    Raises:
        ModelError: it is not configured.
    """
    if not decoding.small_path:
        raise _no_model("CT2_SMALL_PATH", "small", demo)
    return Model(decoding.small_path)


def medium_model(decoding: Decoding, demo: str) -> Model:
    """The accurate model; see :func:`small_model`."""
    if not decoding.medium_path:
        raise _no_model("CT2_MEDIUM_PATH", "medium", demo)
    return Model(decoding.medium_path, decoding.beam_size)


def _no_model(key: str, name: str, demo: str) -> ModelError:
    return ModelError(
        f"no model: set {key} to a CTranslate2 folder or to a name such as {name} "
        f"(it is fetched on first start), or try {demo}, which brings its own"
    )


def load_engines(
    decoding: Decoding, choose: Callable[[Decoding], dict[Tier, Model]] = both_models
) -> tuple[dict[Tier, Engine], int]:
    """Load the configured models: engines by tier, and decodes at a time.

    Args:
        choose: which of them, and for which tier.

    Raises:
        ModelError: a model is not configured, cannot be found or loaded. Nothing stands in for it.
    """
    models = choose(decoding)
    concurrency = decoding.max_concurrency or ((os.cpu_count() or 1) if runs_on_cpu(decoding) else 1)
    engines: dict[Tier, Engine] = {}
    for tier, model in models.items():
        folder, name = locate(model.path)
        engine = WhisperEngine(
            folder,
            name=name,
            device=decoding.device,
            device_index=decoding.device_index,
            compute_type=decoding.compute_type,
            cpu_threads=decoding.cpu_threads,
            workers=concurrency,
            beam_size=model.beam_size,
            context_policy=decoding.context_policy,
        )
        engine.warm_up(decoding.max_batch)
        engines[tier] = engine
    return engines, concurrency


def make_speech(
    values: Values,
    instrument: Instrument | None = None,
    *,
    live: bool = True,
    choose: Callable[[Decoding], dict[Tier, Model]] = both_models,
) -> Speech:
    """Everything that sessions share, warm.

    Args:
        live: whether speakers wait for their transcripts, so that under load things are left out.
        choose: see :func:`load_engines`.
    """
    instrument = instrument or Instrument()
    options, routing, decoding = stream_options(values), build(Routing, values), build(Decoding, values)
    engines, concurrency = load_engines(decoding, choose)
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


def runs_on_cpu(decoding: Decoding) -> bool:
    """Whether the models do, with this configuration on this machine."""
    if decoding.device != "auto":
        return decoding.device == "cpu"
    import ctranslate2

    return not ctranslate2.get_cuda_device_count()


def set_up_logging(options: argparse.Namespace) -> LogOptions:
    """Log to standard error, in the chosen form. Returns it, for processes that this one starts."""
    chosen = LogOptions(options.log_format, options.log_level)
    set_up(chosen)
    return chosen
