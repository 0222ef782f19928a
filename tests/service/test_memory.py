"""A recording of any length takes the same memory: measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtc_stt.audio import SAMPLE_RATE
from tests.service.sound import encoded

ROOT = Path(__file__).resolve().parents[2]
MORE_MB = 12
"""Of thirty minutes than of five; measured were 2. Decoded and kept they would take 96 MB more."""


@pytest.mark.slow
@pytest.mark.long
def test_thirty_minutes_take_no_more_memory_than_five(tmp_path):
    rng = np.random.default_rng(1)
    talk = (0.1 * rng.standard_normal(7 * SAMPLE_RATE)).astype(np.float32)
    ten_seconds = np.concatenate([talk, np.zeros(3 * SAMPLE_RATE, np.float32)])
    paths = []
    for minutes in (5, 30):
        paths.append(str(tmp_path / f"{minutes}.wav"))
        Path(paths[-1]).write_bytes(encoded(np.tile(ten_seconds, 6 * minutes), "wav", "pcm_mulaw"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.service.memory", *paths],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=True,
    )  # fmt: skip
    short, long = ([float(figure) for figure in line.split()] for line in done.stdout.splitlines())
    assert (short[2], long[2]) == (30, 180), "all of it is heard"
    assert (short[3], long[3]) == (300_000, 1_800_000)
    assert long[0] - short[0] < MORE_MB * 1024
