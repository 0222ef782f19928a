"""The measurements of replicas, in little: they find what must be so at any length."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def test_a_replica_says_what_the_engine_here_says(tmp_path: Path) -> None:
    result = support.measured("tools.replicas", tmp_path, "overhead", "--rounds", "1", "--clips", "3")
    assert result["marks"]["the same words"]["met"]
    for batch in ("of_1", "of_4"):
        told = result["batches"][batch]
        assert told["here_ms"]["calls"] == told["replica_ms"]["calls"] == 3
        assert 0 < told["here_ms"]["p50"] <= told["here_ms"]["p95"]
    assert result["way_ms"]["calls"] == 12


def test_audio_arrives_with_its_words(tmp_path: Path) -> None:
    result = support.measured("tools.replicas", tmp_path, "payload", "--rounds", "2", "--clips", "2")
    assert result["words"]["as_recorded"] == {"requests": 6, "differ": 0}
    for costs in result["lengths"].values():
        assert costs["int16"]["bytes"] < 0.6 * costs["float32"]["bytes"]
        assert costs["int16"]["gateway_cpu_ms"] < costs["log_mel_float32"]["gateway_cpu_ms"]
