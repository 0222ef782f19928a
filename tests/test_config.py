"""What can be configured, and what a session may change for itself."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.cli.common import GROUPS
from rtc_stt.config import ContextPolicy, Decoding, Endpointing, StreamOptions, change_stream_options
from rtc_stt.config_keys import Values, build, keys, read_env_file, reference
from rtc_stt.errors import ConfigError
from tests.strategies import JSON

LANGUAGES = frozenset({"en", "de"})
DEFAULTS = StreamOptions(language="en")


def change(changes: dict[str, object], options: StreamOptions = DEFAULTS) -> tuple[StreamOptions, list[str]]:
    return change_stream_options(options, DEFAULTS, changes, LANGUAGES)


def test_every_key_has_one_name_and_its_default_is_within_its_limits():
    specs = [spec for group in GROUPS for spec in keys(group).values()]
    assert len({spec.name for spec in specs}) == len(specs)
    for spec in specs:
        assert spec.help
        assert (spec.low is None) == (spec.high is None), spec.name
        if spec.low is not None:
            assert spec.low <= spec.default <= spec.high, spec.name


def test_the_printed_reference_is_a_configuration_that_changes_nothing(tmp_path):
    names = [spec.name for group in GROUPS for spec in keys(group).values()]
    text = "\n".join(
        line[1:] if line.startswith(tuple(f"#{name}=" for name in names)) else line
        for line in reference(GROUPS).splitlines()
    )
    path = tmp_path / "all.env"
    path.write_text(text)
    values = read_env_file(path, names)
    assert set(values.entries) == set(names)
    for group in GROUPS:
        assert build(group, values) == group()


def test_every_key_can_be_set_by_its_text():
    for group in GROUPS:
        for field, spec in keys(group).items():
            if isinstance(spec.default, str | int | float) and not isinstance(spec.default, bool):
                made = build(group, Values({spec.name: (str(spec.default), "here")}))
                assert getattr(made, field) == spec.default, spec.name


def test_the_context_policy_is_named_in_words():
    made = build(Decoding, Values({"CONTEXT_POLICY": ("tight", "here")}))
    assert made.context_policy is ContextPolicy.TIGHT


@pytest.mark.parametrize(
    "options",
    [{"speculate_after_ms": 600, "min_silence_ms": 500}, {"stay_threshold": 0.6, "start_threshold": 0.5}],
)
def test_endpointing_that_contradicts_itself_is_refused(options):
    with pytest.raises(ConfigError, match="Lower it"):
        Endpointing(**options)


# ── configure ──


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("language", "de"),
        ("prompt", "Names: Siân, Zoë"),
        ("hotwords", "kilowatt"),
        ("partials", False),
        ("word_timestamps", True),
    ],
)
def test_an_option_is_taken_and_null_gives_the_default_back(name, value):
    options, problems = change({name: value})
    assert (getattr(options, name), problems) == (value, [])
    options, problems = change({name: None}, options)
    assert (options, problems) == (DEFAULTS, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"language": "xx"},
        {"language": 7},
        {"language": ["en"]},
        {"language": {"en": 1}},
        {"prompt": "x" * 1_001},
        {"prompt": 3},
        {"hotwords": ["a"]},
        {"partials": "yes"},
        {"word_timestamps": 1},
        {"colour": "red"},
        {"partial_interval_ms": 100},
        {"endpointing": 3},
        {"endpointing": {"onset_ms": 32}},
        {"endpointing": {"min_silence_ms": "500"}},
        {"endpointing": {"min_silence_ms": True}},
        {"endpointing": {"min_silence_ms": 99}},
        {"endpointing": {"min_silence_ms": 10**400}},
        {"endpointing": {"max_utterance_s": float("nan")}},
        {"endpointing": {"min_silence_ms": 100}},  # below speculate_after_ms
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_wrong_option_is_told_and_changes_nothing(changes):
    options, problems = change(changes)
    assert options == DEFAULTS
    assert len(problems) == 1
    assert len(problems[0]) < 500


def test_the_right_options_are_taken_beside_wrong_ones():
    options, problems = change(
        {"language": "de", "prompt": 3, "endpointing": {"preroll_ms": 1, "min_silence_ms": 900}}
    )
    assert options == dataclasses.replace(
        DEFAULTS, language="de", endpointing=Endpointing(min_silence_ms=900)
    )
    assert len(problems) == 2


def test_endpointing_changes_add_up_and_null_gives_a_default_back():
    options, _ = change({"endpointing": {"min_silence_ms": 900, "preroll_ms": 800}})
    options, problems = change({"endpointing": {"min_silence_ms": None, "max_utterance_s": 5}}, options)
    assert options.endpointing == Endpointing(preroll_ms=800, max_utterance_s=5)
    assert problems == []


def test_null_gives_all_of_endpointing_back():
    options, _ = change({"endpointing": {"min_silence_ms": 900}})
    assert change({"endpointing": None}, options) == (DEFAULTS, [])


NAMES = st.sampled_from([f.name for f in dataclasses.fields(StreamOptions)]) | st.text(max_size=6)
ENDPOINTING = st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Endpointing)]), JSON)


@pytest.mark.slow
@given(st.dictionaries(NAMES, JSON | ENDPOINTING, max_size=5))
def test_no_configure_raises_and_what_comes_of_it_is_valid(changes):
    options, problems = change(changes)
    dataclasses.replace(options.endpointing)  # checks itself
    assert all(isinstance(problem, str) for problem in problems)
    for spec_field, spec in keys(Endpointing).items():
        assert spec.low is not None
        assert spec.high is not None
        assert spec.low <= getattr(options.endpointing, spec_field) <= spec.high
