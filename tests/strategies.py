"""What may happen to a stream, as hypothesis strategies."""

from __future__ import annotations

import unicodedata
from random import Random

from hypothesis import strategies as st

from rtc_stt.audio import Origin
from rtc_stt.commands import Ack, Command, Configure, Finalize, Mute, Ping, Stop
from rtc_stt.config import Endpointing, RedecodeMode, Routing, StreamOptions
from rtc_stt.events import EVENT_TYPES, Event, FastResult, Route, Timing
from rtc_stt.hypothesis import Word
from rtc_stt.testing import Said
from tests.storm import MOODS

# ── Speech ──


@st.composite
def scripts(draw: st.DrawFn, max_words: int = 10) -> list[Said]:
    """Words and pauses, some of both very short."""
    at, script = 0, []
    for number in range(draw(st.integers(0, max_words))):
        at += draw(st.sampled_from([0, 5, 40, 120, 250, 400, 600, 1_200]) | st.integers(0, 1_500))
        length = draw(st.sampled_from([10, 40, 70, 200, 400]) | st.integers(5, 900))
        script.append(Said(at, at + length, f"w{number}"))
        at += length
    return script


def monologue(seed: int, seconds: int) -> list[Said]:
    """Someone who does not stop: words of 120 to 600 ms, and no pause over 150 ms."""
    random = Random(seed)
    at, script = 500, list[Said]()
    while at < seconds * 1000:
        at += random.choice([0, 0, 0, 20, 60, 150])
        length = random.randint(120, 600)
        script.append(Said(at, at + length, f"w{len(script)}"))
        at += length
    return script


@st.composite
def endpointings(draw: st.DrawFn) -> Endpointing:
    """Any that are allowed, the short ones more often."""
    min_silence_ms = draw(st.integers(100, 1_000))
    start_threshold = draw(st.sampled_from([0.3, 0.5, 0.8]))
    return Endpointing(
        min_silence_ms=min_silence_ms,
        speculate_after_ms=draw(st.integers(32, min_silence_ms)),
        preroll_ms=draw(st.integers(300, 2_000)),
        max_utterance_s=draw(st.sampled_from([2.0, 2.5, 4.0, 20.0])),
        start_threshold=start_threshold,
        stay_threshold=draw(
            st.sampled_from([0.1, 0.3, start_threshold]).filter(lambda t: t <= start_threshold)
        ),
        onset_ms=draw(st.integers(32, 200)),
        min_speech_ms=draw(st.integers(32, 300)),
    )


def stream_options() -> st.SearchStrategy[StreamOptions]:
    """Options of a session."""
    return st.builds(
        StreamOptions,
        language=st.sampled_from([None, "en", "de"]),
        prompt=st.none() | st.text(max_size=5),
        partials=st.sampled_from([True, True, False]),
        word_timestamps=st.booleans(),
        commit_after_s=st.sampled_from([1.0, 1.5, 8.0]),
        carry_context=st.booleans(),
        partial_interval_ms=st.sampled_from([100, 250, 1_000]),
        endpointing=endpointings(),
    )


VERIFYING = Routing(min_words=9, redecode_mode=RedecodeMode.VERIFY)
ROUTINGS = st.sampled_from(
    [Routing(min_words=0), Routing(), Routing(min_words=9, redecode_deadline_ms=300), VERIFYING, VERIFYING]
)
MOOD = st.sampled_from(sorted(MOODS))
PROBABILITY = st.sampled_from([0.0, 0.02, 0.2, 0.32, 0.4, 0.5, 0.7, 0.95, 1.0])
WEATHER = st.lists(st.tuples(st.integers(1, 40), PROBABILITY), max_size=25)
"""Runs of windows that a detector judges alike."""

ORIGINS = st.lists(
    st.tuples(st.sampled_from([1, 320, 960, 3_200]) | st.integers(0, 12_000), st.sampled_from(Origin))
)
"""Runs of samples of one origin."""

CHUNKS = st.lists(st.integers(0, 4_000), max_size=40)

# ── Messages ──

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
NFC = TEXT.map(lambda text: unicodedata.normalize("NFC", text))
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


def _json(number: st.SearchStrategy[float], text: st.SearchStrategy[str]) -> st.SearchStrategy:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | number | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=8,
    )


JSON = _json(st.floats(), st.text(max_size=8))
"""What Python's reader takes for JSON: with NaN, and with half characters."""

FINITE_JSON = _json(NUMBER, TEXT)

st.register_type_strategy(str, NFC)
st.register_type_strategy(float, NUMBER)


def _plain(kind: type) -> st.SearchStrategy:
    """Any value of a class, led by its annotations."""
    known = {
        "words": st.lists(st.builds(Word), max_size=3).map(tuple),
        "route": st.builds(Route, fast=st.none() | st.builds(FastResult)),
        "timing": st.builds(Timing),
        "models": st.dictionaries(st.sampled_from(["fast", "accurate"]), st.none() | NFC),
        "limits": st.dictionaries(TEXT, st.integers()),
        "stats": st.dictionaries(TEXT, st.integers() | NUMBER),
    }
    fields = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return st.builds(kind, seq=st.integers(0), **{n: s for n, s in known.items() if n in fields})


EVENTS: st.SearchStrategy[Event] = st.one_of([_plain(kind) for kind in EVENT_TYPES.values()])

COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(Finalize, TEXT),
    st.builds(Ping, TEXT),
    st.builds(Mute, st.booleans()),
    st.builds(Ack, st.integers(0, 2**53)),
    st.just(Stop()),
    st.dictionaries(TEXT.filter(lambda name: name != "type"), FINITE_JSON, max_size=4).map(Configure),
)
