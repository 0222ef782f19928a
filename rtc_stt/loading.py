"""The engines that a configuration asks for, and all that sessions in one process share: without a server.

With ``ENGINE=ray://…`` there are none here, and :func:`replica_tiers` are asked (see ``docs/fleet.md``).

``speech = load_speech(demo=True)`` is enough for a :class:`~rtc_stt.client.LocalSession`, or a plugin.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rtc_stt import demo_models
from rtc_stt.config import Decoding, Endpointing, Fallback, Routing, StreamOptions, Workers
from rtc_stt.config_keys import Values, build, keys, read_environment
from rtc_stt.decode_pool import DecodePool, Engine
from rtc_stt.engines import WhisperEngine
from rtc_stt.engines.fetch import locate
from rtc_stt.errors import ConfigError, ModelError
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.lanes import LaneMaker
from rtc_stt.replicas.lane import ReplicaTier
from rtc_stt.replicas.roster import Roster
from rtc_stt.session import Speech
from rtc_stt.spans import SpanSink
from rtc_stt.vad import Detection, make_vad

__all__ = [
    "DEMO_VALUES",
    "Model",
    "await_replicas",
    "both_models",
    "load_engines",
    "load_speech",
    "make_speech",
    "medium_model",
    "replica_tiers",
    "runs_on_cpu",
    "small_model",
    "stream_options",
]

REPLICAS_WITHIN_S = 120.0
"""For the first replica of the fast tier: a worker that begins fetches its model, and warms up."""

TELL_EVERY_S = 10.0
"""Between two lines for people who wait for that."""

_GROUPS: tuple[type, ...] = (Decoding, Routing, Fallback, Detection, Endpointing, StreamOptions, Workers)

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
    tiers: Mapping[Tier, LaneMaker] | None = None,
    sink: SpanSink | None = None,
    log_transcripts: bool = False,
    sessions: int = 0,
) -> Speech:
    """Everything that sessions share, warm.

    Args:
        live: whether speakers wait for their transcripts, so that under load things are left out.
        choose: see :func:`load_engines`.
        tiers: who decodes, where no model is loaded here; see :func:`replica_tiers`.
        sink, log_transcripts: see :class:`~rtc_stt.session.Speech`.
        sessions: that there may be at a time, see :func:`~rtc_stt.vad.make_vad`.
    """
    instrument = instrument or Instrument()
    options, routing, decoding = stream_options(values), build(Routing, values), build(Decoding, values)
    engines, concurrency = ({}, 1) if tiers else load_engines(decoding, choose)
    if engines:
        _check_languages(options, engines[Tier.FAST].languages)
    # From a request in the pause to the last moment at which its answer would be heard.
    patience_s = (options.endpointing.min_silence_ms + routing.redecode_deadline_ms) / 1000
    return Speech(
        vad=make_vad(build(Detection, values), sessions, instrument),
        pool=DecodePool(
            engines,
            concurrency=concurrency,
            makers=tiers,
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
    values = values.over(DEMO_VALUES) if demo else values
    return make_speech(values, tiers=replica_tiers(values))


def _check_languages(options: StreamOptions, languages: frozenset[str]) -> None:
    if unknown := sorted(set(options.languages) - languages):
        known = ", ".join(sorted(languages))
        raise ConfigError(f"LANGUAGES: the model does not know {', '.join(unknown)}; it knows {known}")


# ── Models elsewhere ────────────────────────────────────────────────────────────


def replica_tiers(values: Values, instrument: Instrument | None = None) -> dict[Tier, ReplicaTier] | None:
    """Both tiers, as ``ENGINE`` says where they are; None where it is ``local``.

    Whether there is an accurate tier is known when a replica of it is listed: sessions that begin from then
    on use it.
    """
    workers, routing, decoding = build(Workers, values), build(Routing, values), build(Decoding, values)
    if not workers.places:
        return None
    roster = Roster(workers.places, workers.workers_key)
    deadlines = {Tier.FAST: routing.decode_deadline_ms, Tier.ACCURATE: routing.redecode_deadline_ms}
    return {
        tier: ReplicaTier(
            tier,
            roster,
            workers.workers_key,
            hang_s=decoding.decode_hang_s,
            deadline_s=deadline_ms / 1000,
            instrument=instrument or Instrument(),
            clock=time.monotonic,
        )
        for tier, deadline_ms in deadlines.items()
    }


async def await_replicas(
    speech: Speech, roster: Roster, say: Callable[[str], None], within_s: float = REPLICAS_WITHIN_S
) -> None:
    """Until a replica of the fast tier answers.

    Args:
        say: takes a line for people every few seconds.

    Raises:
        ConfigError: ``WORKERS_KEY`` or ``LANGUAGES`` is wrong.
        ModelError: none does in so many seconds.
    """
    pool = speech.pool
    assert isinstance(pool, DecodePool)
    pool.wake()
    began = told_at = time.monotonic()
    while not pool.is_ready:
        if roster.is_refused:
            raise ConfigError(f"WORKERS_KEY: {roster.trouble}. It is that of the decode workers.")
        trouble, now = "; ".join(pool.troubles) or "no replica answers yet", time.monotonic()
        if now - began > within_s:
            raise ModelError(
                f"no decode worker within {within_s:g} s: {trouble}. Start them (rtc-stt workers deploy), or "
                f"look at rtc-stt workers status; ENGINE says where they are ({roster.where})"
            )
        if now - told_at > TELL_EVERY_S:
            told_at = now
            say(f"Waiting for a decode worker ({now - began:.0f} s): {trouble}")
        await asyncio.sleep(0.05)
    _check_languages(speech.options, pool.languages)


def runs_on_cpu(decoding: Decoding) -> bool:
    """Whether the models do, with this configuration on this machine."""
    if decoding.device != "auto":
        return decoding.device == "cpu"
    import ctranslate2

    return not ctranslate2.get_cuda_device_count()
