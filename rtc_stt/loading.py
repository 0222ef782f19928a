"""The engines that a configuration asks for, and all that sessions in one process share: without a server.

``speech = load_speech(demo=True)`` is enough for a :class:`~rtc_stt.client.LocalSession`, or a plugin.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass

from rtc_stt import demo_models
from rtc_stt.config import Decoding, Endpointing, Fallback, Routing, StreamOptions
from rtc_stt.config_keys import Values, build, keys, read_environment
from rtc_stt.decode_pool import DecodePool, Engine
from rtc_stt.engines import WhisperEngine
from rtc_stt.engines.fetch import locate
from rtc_stt.errors import ConfigError, ModelError
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.session import Speech
from rtc_stt.spans import SpanSink
from rtc_stt.vad import Detection, make_vad

__all__ = [
    "DEMO_VALUES",
    "Model",
    "both_models",
    "load_engines",
    "load_speech",
    "make_speech",
    "medium_model",
    "runs_on_cpu",
    "small_model",
    "stream_options",
]

_GROUPS: tuple[type, ...] = (Decoding, Routing, Fallback, Detection, Endpointing, StreamOptions)

DEMO_VALUES = Values(
    {
        name: (str(value), "demo")
        for name, value in {
            "CT2_SMALL_PATH": demo_models.FAST.path,
            "CT2_MEDIUM_PATH": demo_models.ACCURATE.path,
            "CONTEXT_POLICY": demo_models.FAST.context_policy,
            "CONF_LOGPROB_THRESHOLD": demo_models.FAST.logprob_threshold,
            # The demo models lose the thread after ten seconds and several sentences.
            "COMMIT_AFTER_S": 4,
            "SEGMENT_S": 4.5,
            "CARRY_CONTEXT": "false",
            "DEVICE": "cpu",
            "COMPUTE_TYPE": "int8",
        }.items()
    }
)
"""What the bundled models need; environment and flags come over it."""


def stream_options(values: Values) -> StreamOptions:
    """The defaults of every session."""
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
    sink: SpanSink | None = None,
    log_transcripts: bool = False,
    sessions: int = 0,
) -> Speech:
    """Everything that sessions share, warm.

    Args:
        live: whether speakers wait for their transcripts, so that under load things are left out.
        choose: see :func:`load_engines`.
        sink, log_transcripts: see :class:`~rtc_stt.session.Speech`.
        sessions: that there may be at a time, see :func:`~rtc_stt.vad.make_vad`.
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
        vad=make_vad(build(Detection, values), sessions, instrument),
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
        sink=sink,
        log_transcripts=log_transcripts,
    )


def load_speech(*, demo: bool = False, **settings: object) -> Speech:
    """What sessions in this process share, loaded and warm: seconds, in which it blocks.

    Close it with ``await speech.aclose()`` when the last session is over.

    Args:
        demo: with the two bundled models, where nothing else is said.
        settings: keys of the configuration in lower case, such as ``ct2_small_path="small"``; they come over
            those of the environment.

    Raises:
        ConfigError: a key is unknown, or its value is malformed.
        ModelError: a model is not configured, cannot be found or loaded.
    """
    known = [spec.name for group in _GROUPS for spec in keys(group).values()]
    given = {name.upper(): (str(value), "load_speech") for name, value in settings.items()}
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(f"there is no setting {', '.join(unknown).lower()}")
    values = Values(given).over(read_environment(known))
    return make_speech(values.over(DEMO_VALUES) if demo else values)


def runs_on_cpu(decoding: Decoding) -> bool:
    """Whether the models do, with this configuration on this machine."""
    if decoding.device != "auto":
        return decoding.device == "cpu"
    import ctranslate2

    return not ctranslate2.get_cuda_device_count()
