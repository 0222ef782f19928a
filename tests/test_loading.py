"""What sessions share is made from the configuration, or the mistake in it is named."""

from __future__ import annotations

import pytest

from rtc_stt.config_keys import Values
from rtc_stt.errors import ConfigError, ModelError
from rtc_stt.loading import DEMO_VALUES, load_speech, make_speech


async def test_a_language_that_the_model_does_not_know_is_named():
    values = Values({"LANGUAGES": ("en,tlh", "environment")}).over(DEMO_VALUES)
    with pytest.raises(ConfigError, match="does not know tlh; it knows de, en, es, fr"):
        make_speech(values)


async def test_without_an_accurate_model_the_fallback_services_are_the_accurate_tier():
    entries = {"CT2_MEDIUM_PATH": "", "FALLBACK_URL": "http://gpu-2:8082, http://gpu-3:8082"}
    speech = make_speech(Values({k: (v, "environment") for k, v in entries.items()}).over(DEMO_VALUES))
    assert speech.pool.has_accurate_tier
    assert speech.pool.models["accurate"] == "fallback"
    await speech.aclose()


async def test_a_library_loads_what_the_environment_and_its_caller_say(monkeypatch):
    monkeypatch.setenv("LANGUAGES", "en,de")
    monkeypatch.setenv("MIN_SILENCE_MS", "900")
    speech = load_speech(demo=True, min_silence_ms=700)
    assert speech.options.languages == ("en", "de")
    assert speech.options.endpointing.min_silence_ms == 700
    assert speech.pool.models == {"fast": "demo-tiny", "accurate": "demo-medium"}
    await speech.aclose()


def test_a_setting_that_there_is_not_is_named():
    with pytest.raises(ConfigError, match="there is no setting colour"):
        load_speech(demo=True, colour="blue")


def test_without_a_model_it_says_what_to_set(monkeypatch):
    monkeypatch.delenv("CT2_SMALL_PATH", raising=False)
    with pytest.raises(ModelError, match="CT2_SMALL_PATH"):
        load_speech()
