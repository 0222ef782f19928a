"""What can be configured, by group; and what a session may change for itself."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from rtc_stt.config_keys import check_bounds, key, keys
from rtc_stt.errors import ConfigError

__all__ = [
    "ContextPolicy",
    "Decoding",
    "Endpointing",
    "Fallback",
    "Recordings",
    "RedecodeMode",
    "Routing",
    "StreamOptions",
    "Workers",
    "change_stream_options",
    "option_changes",
]


class ContextPolicy(enum.StrEnum):
    """How much silence is put behind the audio before the encoder sees it."""

    FULL = "full"
    """Up to 30 s, as Whisper was trained. Safe with any weights, and the slowest."""
    PADDED = "padded"
    """At least 128 encoder positions more and 5 s in all; a doubtful result is decoded again in full."""
    TIGHT = "tight"
    """None. Only for weights made for it; a doubtful result is decoded again in full."""


class RedecodeMode(enum.StrEnum):
    """What the accurate tier does with a doubted text."""

    VERIFY = "verify"
    """Check it in one pass, and decode only where it disagrees: a third of the cost where it does not."""
    DECODE = "decode"
    """Decode always."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpointing:
    """When an utterance begins and ends. A session may change these for itself."""

    min_silence_ms: int = key(
        "MIN_SILENCE_MS",
        500,
        "Silence that ends an utterance (the hangover). Shorter answers sooner and cuts more people off.",
        low=100,
        high=5_000,
    )
    speculate_after_ms: int = key(
        "SPECULATE_AFTER_MS",
        200,
        "Silence after which the final decode starts speculatively, while the hangover runs.",
        low=32,
        high=5_000,
    )
    preroll_ms: int = key(
        "PREROLL_MS",
        400,
        "Audio before the detected start of speech that is decoded too, so that no syllable is lost.",
        low=300,
        high=2_000,
    )
    max_utterance_s: float = key(
        "MAX_UTTERANCE_S",
        60.0,
        "Longest utterance; a longer one is cut at its quietest recent point. Its length does not make it "
        "dearer: see COMMIT_AFTER_S.",
        low=2,
        high=3_600,
    )
    start_threshold: float = key(
        "VAD_START_THRESHOLD",
        0.5,
        "Speech probability from which a window counts as speech in silence.",
        low=0.05,
        high=0.99,
    )
    stay_threshold: float = key(
        "VAD_STAY_THRESHOLD",
        0.35,
        "Speech probability down to which a window counts as speech while someone speaks.",
        low=0.01,
        high=0.99,
    )
    onset_ms: int = key(
        "VAD_ONSET_MS",
        64,
        "Speech without a break before an utterance begins; a click is shorter.",
        low=32,
        high=500,
    )
    min_speech_ms: int = key(
        "MIN_SPEECH_MS",
        96,
        "An utterance with less speech than this is dropped as too_short.",
        low=32,
        high=1_000,
    )

    def __post_init__(self) -> None:
        if self.speculate_after_ms > self.min_silence_ms:
            raise ConfigError(
                f"SPECULATE_AFTER_MS ({self.speculate_after_ms}) is longer than MIN_SILENCE_MS "
                f"({self.min_silence_ms}): the final decode would start after the end. Lower it."
            )
        if self.stay_threshold > self.start_threshold:
            raise ConfigError(
                f"VAD_STAY_THRESHOLD ({self.stay_threshold}) is above VAD_START_THRESHOLD "
                f"({self.start_threshold}): speech would end as it begins. Lower it."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """When the accurate tier is asked, and how long it is waited for. Thresholds are per model."""

    logprob_threshold: float = key(
        "CONF_LOGPROB_THRESHOLD",
        0.55,
        "Decode again where exp(avg_logprob) is lower. 0.55 suits real Whisper weights.",
        low=0,
        high=1,
    )
    langprob_threshold: float = key(
        "CONF_LANGPROB_THRESHOLD",
        0.70,
        "Decode again where a detected (not a forced) language is less probable.",
        low=0,
        high=1,
    )
    min_words: int = key(
        "MIN_WORDS_FOR_CONF", 3, "Decode again where there are fewer words.", low=0, high=100
    )
    redecode_deadline_ms: int = key(
        "REDECODE_DEADLINE_MS",
        2_500,
        "How long a final waits for the accurate tier after the endpoint, or after asking it if that is "
        "later; then the fast text stands.",
        low=50,
        high=60_000,
    )
    redecode_mode: RedecodeMode = key(
        "REDECODE_MODE",
        RedecodeMode.DECODE,
        "decode: the accurate tier decodes what is doubted; verify: it checks the fast text first, which is "
        "cheaper, and decodes only where it disagrees.",
    )
    decode_deadline_ms: int = key(
        "DECODE_DEADLINE_MS",
        10_000,
        "How long a final waits for the fast tier after the endpoint; then that tier counts as failed.",
        low=100,
        high=120_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """The models and the machine they run on."""

    small_path: str | None = key(
        "CT2_SMALL_PATH", None, "Fast tier: a CTranslate2 folder, a name such as small, or a URL."
    )
    medium_path: str | None = key(
        "CT2_MEDIUM_PATH", None, "Accurate tier: likewise, such as medium. Empty: no accurate tier."
    )
    device: str = key("DEVICE", "auto", "auto, cpu or cuda.")
    device_index: int = key("DEVICE_INDEX", 0, "Which GPU.", low=0, high=64)
    compute_type: str = key(
        "COMPUTE_TYPE",
        "default",
        "CTranslate2 type: default, int8, int8_float16, float16, float32 …",
    )
    cpu_threads: int = key(
        "CPU_THREADS",
        1,
        "Threads of one decode on CPU. Decodes side by side use the cores better than one decode on all.",
        low=1,
        high=256,
    )
    max_concurrency: int = key(
        "MAX_CONCURRENCY",
        0,
        "Decodes at a time and tier; 0: one for each core, 1 on a GPU.",
        low=0,
        high=256,
    )
    beam_size: int = key(
        "BEAM_SIZE",
        5,
        "Beam of finals on the accurate tier. The fast tier decodes greedily.",
        low=1,
        high=16,
    )
    max_batch: int = key(
        "MAX_BATCH", 8, "Requests of several sessions that are decoded in one call.", low=1, high=256
    )
    queue_limit: int = key(
        "QUEUE_LIMIT",
        1_000,
        "Requests that may wait for the models. Beyond it partials are left out first, finals never.",
        low=1,
        high=1_000_000,
    )
    queue_limit_mb: int = key(
        "QUEUE_LIMIT_MB", 256, "Audio that may wait for the models, likewise.", low=1, high=1_000_000
    )
    decode_hang_s: float = key(
        "DECODE_HANG_S",
        10.0,
        "A decode that takes longer counts as hung: others stand in, and the server is not ready.",
        low=1,
        high=600,
    )
    context_policy: ContextPolicy = key(
        "CONTEXT_POLICY",
        ContextPolicy.PADDED,
        "full: 30 s for any weights; padded: short and checked; tight: only for weights made for it.",
    )
    server_commit: str = key(
        "SERVER_COMMIT", "", "What is deployed, told in /v1/metrics; set it where you build."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """Other machines that decode for the accurate tier: ``rtc-stt fallback``."""

    urls: tuple[str, ...] = key(
        "FALLBACK_URL",
        (),
        "Comma list of fallback services, e.g. http://gpu-2:8082. Asked in this order where there is no "
        "accurate tier here, or it fails.",
    )
    api_key: str = key("FALLBACK_API_KEY", "", "Their API key.", secret=True)
    timeout_ms: int = key(
        "FALLBACK_TIMEOUT_MS", 10_000, "How long one of them may take to answer.", low=100, high=600_000
    )

    def __post_init__(self) -> None:
        for url in self.urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ConfigError(f"FALLBACK_URL: {url!r} is no URL like http://gpu-2:8082")
            if parts.username or parts.password:
                raise ConfigError("FALLBACK_URL: a key belongs into FALLBACK_API_KEY, not into the URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Where the decodes of the gateway happen, if not in its own process."""

    engine: str = key(
        "ENGINE",
        "local",
        "local: the models are loaded here. ray://HOST:PORT[,HOST:PORT]: they are in Ray Serve (see rtc-stt "
        "workers), whose HTTP proxies listen there.",
    )
    workers_key: str = key(
        "WORKERS_KEY",
        "",
        "What gateways and decode workers show each other; 16 characters at least.",
        secret=True,
    )

    def __post_init__(self) -> None:
        if self.engine != "local" and not all(_is_authority(place) for place in self.places):
            raise ConfigError(f"ENGINE: {self.engine!r} is neither local nor ray://HOST:PORT")
        if self.places and len(self.workers_key) < 16:
            raise ConfigError("WORKERS_KEY: where ENGINE is ray://… it has at least 16 characters")

    @property
    def places(self) -> tuple[str, ...]:
        """``HOST:PORT`` of each proxy that may be asked where the replicas are; none where all is local."""
        scheme, _, places = self.engine.partition("://")
        return tuple(place.strip() for place in places.split(",")) if scheme == "ray" else ()


def _is_authority(text: str) -> bool:
    try:
        parts = urlsplit(f"//{text}")
        return bool(parts.hostname and parts.port) and parts.netloc == text and "@" not in text
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """What may be sent to ``POST /v1/transcribe``, and how it is cut."""

    max_upload_mb: float = key("MAX_UPLOAD_MB", 16, "Largest upload, in MiB.", low=0.01, high=4_096)
    max_audio_s: float = key(
        "MAX_AUDIO_S",
        7_200,
        "Longest recording once it is decoded: a few kB can hold hours.",
        low=1,
        high=864_000,
    )
    upload_seconds: float = key("UPLOAD_SECONDS", 60, "How long an upload may take.", low=1, high=3_600)
    max_requests: int = key(
        "MAX_REQUESTS", 64, "Recordings at a time; more are refused with 503.", low=1, high=100_000
    )
    segment_s: float = key(
        "SEGMENT_S",
        25,
        "Recordings are cut at silences into stretches of at most so many seconds, which are decoded on "
        "their own.",
        low=3,
        high=29,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What one session wants. Changed by ``configure``."""

    language: str | None = None
    """None: detected for each utterance."""
    languages: tuple[str, ...] = key(
        "LANGUAGES", (), "Comma list of languages among which is detected. Empty: all that the model knows."
    )
    prompt: str | None = dataclasses.field(default=None, repr=False)
    hotwords: str | None = dataclasses.field(default=None, repr=False)
    partials: bool = True
    word_timestamps: bool = False
    partial_interval_ms: int = key(
        "PARTIAL_INTERVAL_MS",
        250,
        "Media time between the decodes that make partials.",
        low=100,
        high=5_000,
    )
    commit_after_s: float = key(
        "COMMIT_AFTER_S",
        8.0,
        "In a longer utterance stable text is committed and its audio let go, so that partials of a "
        "monologue cost what those of a sentence do.",
        low=3,
        high=20,
    )
    carry_context: bool = key(
        "CARRY_CONTEXT",
        True,
        "Tell the model what was committed before. Off for weights that were not trained for it.",
    )
    endpointing: Endpointing = dataclasses.field(default_factory=Endpointing)


_ENDPOINTING_CHANGES = (
    "min_silence_ms", "speculate_after_ms", "preroll_ms", "max_utterance_s", "min_speech_ms",
)  # fmt: skip
_MAX_LIST = 100
_MAX_TEXT = 1_000  # characters of a prompt; Whisper keeps the last 224 tokens of it


def change_stream_options(
    options: StreamOptions,
    defaults: StreamOptions,
    changes: Mapping[str, object],
    languages: frozenset[str],
) -> tuple[StreamOptions, list[str]]:
    """Apply a ``configure`` command.

    Returns the new options and one message for each change that was not taken: a session is never dropped
    for an option it got wrong.
    """
    problems: list[str] = []
    taken: dict[str, Any] = {}
    for name, value in changes.items():
        if name == "endpointing" and isinstance(value, Mapping):
            new, wrong = _change_endpointing(options.endpointing, defaults.endpointing, value)
            taken[name] = new
            problems += wrong
        elif value is None and name == "endpointing":
            taken[name] = defaults.endpointing
        elif value is None and name in _STREAM_CHECKS:
            taken[name] = getattr(defaults, name)
        elif name not in _STREAM_CHECKS:
            problems.append(f"configure has no option {name!r}")
        elif name == "language" and not (isinstance(value, str) and value in languages):
            problems.append(f"language must be one of {', '.join(sorted(languages))}, or null")
        elif name == "languages" and not (_is_list(value) and languages.issuperset(value)):  # type: ignore[arg-type]
            problems.append(f"languages must be a list of {', '.join(sorted(languages))}")
        elif not _STREAM_CHECKS[name](value):
            problems.append(f"{name} must be {_STREAM_TYPES[name]}")
        else:
            taken[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(options, **taken), problems


def option_changes(options: StreamOptions, defaults: StreamOptions) -> dict[str, object]:
    """The ``configure`` that makes ``options`` of ``defaults``, as JSON has it."""
    changes: dict[str, object] = {}
    for name in _STREAM_CHECKS:
        value = getattr(options, name)
        if value != getattr(defaults, name):
            changes[name] = list(value) if isinstance(value, tuple) else value
    endpointing = {
        name: value
        for name in _ENDPOINTING_CHANGES
        if (value := getattr(options.endpointing, name)) != getattr(defaults.endpointing, name)
    }
    return changes | ({"endpointing": endpointing} if endpointing else {})


def _change_endpointing(
    options: Endpointing, defaults: Endpointing, changes: Mapping[str, object]
) -> tuple[Endpointing, list[str]]:
    specs, problems, taken = keys(Endpointing), list[str](), dict[str, Any]()
    for name, value in changes.items():
        if name not in _ENDPOINTING_CHANGES:
            problems.append(f"endpointing has no option {name!r}")
        elif value is None:
            taken[name] = getattr(defaults, name)
        elif isinstance(value, bool) or not isinstance(value, specs[name].kind | int):
            problems.append(f"endpointing.{name} must be a number")
        else:
            try:
                check_bounds(specs[name], value, "endpointing")
            except ConfigError as error:
                problems.append(str(error))
            else:
                taken[name] = value
    try:
        return dataclasses.replace(options, **taken), problems
    except ConfigError as error:  # each is in bounds, together they contradict
        return options, [*problems, str(error)]


def _is_text(value: object) -> bool:
    # JSON lets half characters in, and no tokenizer takes them.
    return (
        isinstance(value, str)
        and len(value) <= _MAX_TEXT
        and not any("\ud800" <= c <= "\udfff" for c in value)
    )


def _is_list(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _MAX_LIST and all(isinstance(v, str) for v in value)


_STREAM_CHECKS: Mapping[str, Callable[[object], bool]] = {
    "language": lambda value: isinstance(value, str),
    "languages": _is_list,
    "prompt": _is_text,
    "hotwords": _is_text,
    "partials": lambda value: isinstance(value, bool),
    "word_timestamps": lambda value: isinstance(value, bool),
}
_STREAM_TYPES = {
    "language": "a language code",
    "languages": "a list of language codes",
    "prompt": f"text of at most {_MAX_TEXT} characters",
    "hotwords": f"text of at most {_MAX_TEXT} characters",
    "partials": "true or false",
    "word_timestamps": "true or false",
}
