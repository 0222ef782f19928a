"""``rtc-stt bench load`` and ``bench check`` in little, as a user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtc_stt.bench.clips import load
from rtc_stt.bench.gate_run import FIGURES
from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rtc_stt", "bench", *arguments]
    with subprocess.Popen(
        command,
        cwd=support.ROOT,
        env=support.clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # so that it ends its server
            out, errors = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


def one_short_turn(folder: Path) -> Path:
    """A folder of turns with the shortest clip that there is."""
    clip = min(load("clean"), key=lambda clip: clip.speech_end_ms)
    (folder / "clip.flac").write_bytes((clip.folder / clip.file).read_bytes())
    turn = {
        "id": "1", "text": clip.text, "language": clip.language,
        "start_ms": clip.speech_start_ms, "end_ms": clip.speech_end_ms,
    }  # fmt: skip
    scene = {"id": clip.id, "set": "short", "file": "clip.flac", "licence": "CC0-1.0", "turns": [turn]}
    (folder / "turns.json").write_text(json.dumps({"form": 1, "scenes": [scene]}), encoding="utf-8")
    return folder


def test_a_server_of_its_own_is_searched(tmp_path: Path) -> None:
    out, plot = tmp_path / "load.json", tmp_path / "load.svg"
    done = bench(
        "load", "--turns", str(one_short_turn(tmp_path)), "--sets", "short", "--seconds", "0.5",
        "--max-sessions", "2", "--ttfs-ratio", "-1", "--partial-lag-ms", "-1",
        "--out", str(out), "--plot", str(plot),
    )  # fmt: skip
    assert out.is_file(), done.stderr
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    answer, probe = result["answer"], result["probes"][0]
    assert done.stdout.strip() == answer["sentence"]
    # A machine that does much else may be too slow to speak; it then says so.
    assert answer["sessions"] == 2 or answer["limited_by"] == "speakers", answer
    assert done.returncode == (0 if answer["sessions"] else 1)
    assert (probe["sessions"], probe["turns"], probe["lost"]) == (1, 1, 0)
    assert probe["ttfs_ms"]["p50"] > 400  # the hangover is 500, less what the detector is early
    assert probe["partial_lag_ms"]["n"] >= 1
    assert probe["cpu_ms_per_audio_s"] > 1
    assert probe["rss_mib"] > 50
    assert "0" in probe["steps"]
    assert result["target"]["name"] == "websocket"
    assert plot.read_text(encoding="utf-8").startswith("<svg")


def test_the_gate_measures_all_it_compares(tmp_path: Path) -> None:
    out = tmp_path / "check.json"
    done = bench("check", "--quick", "--out", str(out))
    assert done.returncode == 2, done.stderr  # in little it judges nothing
    result = json.loads(out.read_text(encoding="utf-8"))
    assert tuple(result["figures"]) == FIGURES
    assert all(figure["value"] > 0 for figure in result["figures"].values())
    assert result["verdict"] == "none"
    assert "no verdict" in done.stdout
