"""What a session may be told to be: what comes of it, and what is refused by which name."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.config import StreamOptions, change_stream_options
from signaling.audio_format import AudioFormat
from signaling.dialects.openai.errors import Refusal
from signaling.dialects.openai.settings import Detection, Form, Settings, describe, update

LANGUAGES = frozenset({"en", "de", "es"})


def ga(**heard: Any) -> dict[str, Any]:
    return {"type": "transcription", "audio": {"input": heard}}


def read(**heard: Any) -> Settings:
    return update(Settings(), ga(**heard), Form.GA)


def applied(settings: Settings) -> StreamOptions:
    """What a session makes of it, without a complaint."""
    options, problems = change_stream_options(StreamOptions(), StreamOptions(), settings.changes(), LANGUAGES)
    assert problems == []
    return options


def test_all_that_livekit_and_pipecat_send_is_taken():
    settings = read(
        format={"type": "audio/pcm", "rate": 24_000},
        transcription={"model": "gpt-4o-mini-transcribe", "language": "en", "prompt": "about flights"},
        turn_detection={
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 600,
            "silence_duration_ms": 350,
        },
        noise_reduction={"type": "near_field"},
    )
    options = applied(settings)
    assert (options.language, options.prompt) == ("en", "about flights")
    assert (options.endpointing.min_silence_ms, options.endpointing.preroll_ms) == (350, 600)
    told = describe(settings, Form.GA, "x")["audio"]["input"]
    assert told["noise_reduction"] is None
    assert told["turn_detection"] == {
        "type": "server_vad",
        "silence_duration_ms": 350,
        "prefix_padding_ms": 600,
    }
    settings = update(settings, ga(turn_detection=None), Form.GA)
    assert settings.detection is None
    assert settings.model == "gpt-4o-mini-transcribe"
    assert applied(settings).endpointing == StreamOptions().endpointing


@pytest.mark.parametrize(
    ("name", "before", "form"),
    [
        ("audio/pcm", "pcm16", AudioFormat("pcm_s16le", 24_000, 1)),
        ("audio/pcmu", "g711_ulaw", AudioFormat("mulaw", 8_000, 1)),
        ("audio/pcma", "g711_alaw", AudioFormat("alaw", 8_000, 1)),
    ],
)
def test_formats_have_two_names(name, before, form):
    today = read(format={"type": name})
    assert today.audio == form
    assert update(Settings(), {"input_audio_format": before}, Form.BETA) == today
    assert describe(today, Form.BETA, "x")["input_audio_format"] == before
    assert describe(today, Form.GA, "x")["audio"]["input"]["format"]["type"] == name


def test_keywords_are_hotwords_and_several_languages_are_detected_among():
    settings = read(transcription={"keywords": ["Anna", "Ohm"], "languages": ["en", "de-AT", "en"]})
    options = applied(settings)
    assert (options.hotwords, options.language, options.languages) == ("Anna, Ohm", None, ("en", "de"))
    told = describe(settings, Form.GA, "x")["audio"]["input"]["transcription"]
    assert (told["keywords"], told["languages"]) == (["Anna", "Ohm"], ["en", "de"])
    assert applied(update(settings, ga(transcription={"language": "es"}), Form.GA)).languages == ()
    assert applied(read(transcription={"languages": ["de"]})).language == "de"
    assert applied(update(settings, ga(transcription={"keywords": None}), Form.GA)).hotwords is None


@pytest.mark.parametrize(("silence", "speculate"), [(100, 100), (150, 150), (200, 200), (5_000, 200)])
def test_a_short_hangover_has_a_speculation_that_is_not_longer(silence, speculate):
    options = applied(read(turn_detection={"type": "server_vad", "silence_duration_ms": silence}))
    assert options.endpointing.min_silence_ms == silence
    assert options.endpointing.speculate_after_ms == speculate


def test_less_padding_than_there_is_is_no_harm():
    assert read(turn_detection={"prefix_padding_ms": 0}).detection == Detection(None, 300)


def test_an_update_changes_what_it_names():
    settings = read(
        transcription={"model": "m", "language": "de"}, turn_detection={"silence_duration_ms": 700}
    )
    later = update(settings, ga(turn_detection={"prefix_padding_ms": 400}), Form.GA)
    assert later.detection == Detection(700, 400)
    assert later.language == "de"
    assert update(later, ga(transcription={"language": None}), Form.GA).language is None


def test_who_names_a_model_that_finds_no_turns_commits():
    settings = read(transcription={"model": "gpt-realtime-whisper-2"})
    assert settings.detection is None
    assert update(settings, ga(transcription={"model": "whisper-1"}), Form.GA).detection == Detection()
    told = update(settings, ga(turn_detection={"type": "server_vad"}), Form.GA)
    assert update(told, ga(transcription={"model": "gpt-live-transcribe"}), Form.GA).detection == Detection()


REFUSED: list[tuple[Any, str]] = [
    ({"type": "realtime"}, "session.type"),
    ({"type": "transcription", "voice": "alloy"}, "session.voice"),
    ({"type": "transcription", "audio": {"output": {}}}, "session.audio.output"),
    ({"type": "transcription", "audio": None}, "session.audio"),
    ({"type": "transcription", "include": ["x"]}, "session.include"),
    ({"type": "transcription", "include": "x"}, "session.include"),
    ({"type": "transcription", "include": [[]]}, "session.include"),
    (ga(volume=1), "session.audio.input.volume"),
    (ga(format="pcm16"), "session.audio.input.format"),
    (ga(format={"type": "audio/opus"}), "session.audio.input.format.type"),
    (ga(format={"type": "audio/pcm", "rate": 16_000}), "session.audio.input.format.rate"),
    (ga(transcription=None), "session.audio.input.transcription"),
    (ga(transcription={"model": 1}), "session.audio.input.transcription.model"),
    (ga(transcription={"prompt": "x" * 1_001}), "session.audio.input.transcription.prompt"),
    (ga(transcription={"prompt": "\ud800"}), "session.audio.input.transcription.prompt"),
    (ga(transcription={"keywords": ["x" * 150] * 7}), "session.audio.input.transcription.keywords"),
    (ga(transcription={"languages": "en"}), "session.audio.input.transcription.languages"),
    (ga(transcription={"delay": "soon"}), "session.audio.input.transcription.delay"),
    (ga(noise_reduction={"type": "x"}), "session.audio.input.noise_reduction.type"),
    (ga(noise_reduction={"strength": 2}), "session.audio.input.noise_reduction.strength"),
    (ga(turn_detection={"type": "semantic_vad"}), "session.audio.input.turn_detection.type"),
    (ga(turn_detection={"idle_timeout_ms": 5_000}), "session.audio.input.turn_detection.idle_timeout_ms"),
    (ga(turn_detection={"threshold": 1.5}), "session.audio.input.turn_detection.threshold"),
    (ga(turn_detection={"threshold": float("nan")}), "session.audio.input.turn_detection.threshold"),
    (ga(turn_detection={"create_response": 1}), "session.audio.input.turn_detection.create_response"),
    (
        ga(turn_detection={"silence_duration_ms": 99}),
        "session.audio.input.turn_detection.silence_duration_ms",
    ),
    (
        ga(turn_detection={"silence_duration_ms": True}),
        "session.audio.input.turn_detection.silence_duration_ms",
    ),
    (ga(turn_detection={"prefix_padding_ms": 2_001}), "session.audio.input.turn_detection.prefix_padding_ms"),
    (7, "session"),
]


@pytest.mark.parametrize(("session", "param"), REFUSED, ids=[param for _, param in REFUSED])
def test_what_is_not_offered_is_refused_by_name(session, param):
    with pytest.raises(Refusal) as refused:
        update(Settings(), session, Form.GA)
    assert refused.value.param == param
    if refused.value.code == "unknown_parameter":
        assert param in str(refused.value)


def test_a_name_that_cannot_be_sent_back_is_written_otherwise():
    with pytest.raises(Refusal, match=r"session\.\\ud800 is not offered"):
        update(Settings(), {"type": "transcription", "\ud800": 1}, Form.GA)


HEARD = st.fixed_dictionaries(
    {},
    optional={
        "transcription": st.fixed_dictionaries(
            {},
            optional={
                "language": st.sampled_from((None, "", "en", "de-AT", "EN_us")),
                "languages": st.lists(st.sampled_from(("en", "de", "es")), max_size=4),
                "prompt": st.none() | st.text(max_size=1_200),
                "keywords": st.none() | st.lists(st.text(max_size=210), max_size=8),
            },
        ),
        "turn_detection": st.none()
        | st.fixed_dictionaries(
            {"type": st.just("server_vad")},
            optional={
                "silence_duration_ms": st.integers(90, 5_010),
                "prefix_padding_ms": st.integers(-10, 2_010),
            },
        ),
    },
)


@given(st.lists(HEARD, max_size=4))
def test_what_is_taken_no_session_complains_of(updates):
    settings = Settings()
    for heard in updates:
        with contextlib.suppress(Refusal):
            settings = update(settings, ga(**heard), Form.GA, LANGUAGES)
    applied(settings)
    json.dumps(describe(settings, Form.GA, "x"), ensure_ascii=False).encode()


def test_texts_of_the_client_are_in_no_repr():
    settings = read(transcription={"prompt": "secret", "keywords": ["secret"]})
    assert "secret" not in repr(settings)
