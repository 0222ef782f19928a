"""``rtc-stt bench wer`` with real models, in one process and in several, and Ctrl-C in its middle."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rtc_stt.bench.clips import CLIPS, load
from tests.e2e.support import ROOT, clean_environment, rtc_stt

pytestmark = [pytest.mark.e2e, pytest.mark.alone]


def librispeech(folder: Path, per_set: int) -> Path:
    """Clips in LibriSpeech's layout: a set each."""
    for name in ("clean", "noisy"):
        chapter = folder / name / "7" / "42"
        chapter.mkdir(parents=True)
        lines = []
        for number, clip in enumerate(load(name, limit=per_set)):
            shutil.copy(clip.folder / clip.file, chapter / f"7-42-{number:04}.flac")
            lines.append(f"7-42-{number:04} {clip.text.upper()}\n")
        (chapter / "7-42.trans.txt").write_text("".join(lines))
    return folder


def test_a_folder_in_the_layout_of_librispeech(tmp_path: Path) -> None:
    out = tmp_path / "wer.json"
    folder = librispeech(tmp_path / "corpus", 6)
    done = rtc_stt("bench", "wer", str(folder), "--demo", "--workers", "1", "--out", str(out), seconds=90)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert (result["recordings"], result["workers"], result["data"]["layout"]) == (12, 1, "librispeech")
    assert sorted(result["rates"]["sets"]) == ["clean", "noisy"]
    assert result["rates"]["all"]["accurate"]["wer"]["percent"] < 20
    assert result["recommended"]["set"] in done.stdout or "Leave " in done.stdout
    assert "12/12" in done.stderr  # the progress bar


def test_ctrl_c_keeps_what_was_measured(tmp_path: Path) -> None:
    out, log = tmp_path / "wer.json", tmp_path / "log"
    command = ["bench", "wer", str(CLIPS), "--demo", "--workers", "2", "--out", str(out)]
    with log.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "rtc_stt", *command],
            cwd=ROOT,
            env=clean_environment(),
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 60
    while not re.search(r"\b[1-9]\d*/180", log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them get it
    assert process.wait(20) == 1, log.read_text()
    result = json.loads(out.read_text())
    assert result["interrupted"] is True
    assert 0 < result["recordings"] < 180
    said = log.read_text()
    assert "interrupted; this is what was measured until then" in said
    assert "Traceback" not in said
    assert is_gone(process.pid), "nobody is left"


def is_gone(group: int, seconds: float = 10) -> bool:
    """Whether its processes end in that time; Python's own helper goes after the one that it helped."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
