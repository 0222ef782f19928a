"""The measurements of phone calls, in little: they find what must be so at any length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def test_calls_on_one_core_lose_nothing(tmp_path: Path) -> None:
    result = support.measured("tools.telephony", tmp_path, "load", "--calls", "8", "--seconds", "8")
    assert result["packets"] == result["packets_noted"] == 8 * 8 * 50
    assert result["packets_late"] < result["packets"] / 10  # the machine may be a poor one
    assert result["finals"] > 4
    used = result["cpu_percent_of_a_core"]
    assert 0 < used["loop"] < used["in_all"]


def test_a_final_of_a_call_comes_as_soon_as_that_of_a_browser(tmp_path: Path) -> None:
    result = support.measured("tools.telephony", tmp_path, "latency", "--limit", "1")
    assert result["marks"]["no_final_missing"], result
    assert all(abs(ms) < 50 for ms in result["endpoint_to_final_p50_less_that_of_webrtc_ms"].values())


def test_a_bad_line_leaves_time_and_utterances_as_they_are(tmp_path: Path) -> None:
    result = support.measured("tools.telephony", tmp_path, "impairments", "--limit", "5", "--seeds", "1")
    assert result["marks"]["media_time_within_20_ms"], result
    assert result["marks"]["no_utterance_more_or_less"], result
    told = result["lines"]["loss_5_percent_jitter_30_ms"]
    assert told["utterances"] == 10
    assert told["duration"]["p50"] <= 20
