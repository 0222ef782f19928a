"""How the memory of a long recording is judged."""

from __future__ import annotations

import os

import psutil

from tools.services.memory import _more, peak_mib


def test_what_the_upload_takes_is_not_held_against_it() -> None:
    rows = {
        "short": {"took_mib": 30.0, "upload_mib": 5.0},
        "long": {"took_mib": 57.0, "upload_mib": 30.0},
    }
    assert _more(rows) == 2.0


def test_the_peak_is_at_least_what_is_held() -> None:
    assert peak_mib(os.getpid()) >= psutil.Process().memory_info().rss / 2**20 - 1
