"""What sessions share is made from the configuration, or the mistake in it is named."""

from __future__ import annotations

import pytest

from rtc_stt.cli.common import make_speech
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.config_keys import Values
from rtc_stt.errors import ConfigError


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
