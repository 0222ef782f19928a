"""The measurements of phone calls, in little: they find what must be so at any length."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def measured(folder: Path, *arguments: str) -> dict[str, Any]:
    """The result of one command."""
    out = folder / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "tools.telephony", *arguments, "--out", str(out)],
        cwd=support.ROOT,
        env=support.clean_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(out.read_text(encoding="utf-8")))


def test_calls_on_one_core_lose_nothing(tmp_path: Path) -> None:
    result = measured(tmp_path, "load", "--calls", "8", "--seconds", "8")
    assert result["packets"] == result["packets_noted"] == 8 * 8 * 50
    assert result["packets_late"] < result["packets"] / 10  # the machine may be a poor one
    assert result["finals"] > 4
    used = result["cpu_percent_of_a_core"]
    assert 0 < used["loop"] < used["in_all"]


def test_a_final_of_a_call_comes_as_soon_as_that_of_a_browser(tmp_path: Path) -> None:
    result = measured(tmp_path, "latency", "--limit", "1")
    assert result["marks"]["no_final_missing"], result
    assert all(abs(ms) < 50 for ms in result["endpoint_to_final_p50_less_that_of_webrtc_ms"].values())
