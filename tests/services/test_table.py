"""The tables of the services show what was found, and what could not be found."""

from __future__ import annotations

from rtc_stt.bench.requests import Answer, figures
from tools.services.table import services

ALONE = {"a": "words"}


def test_every_step_and_service_has_its_place() -> None:
    answers = [Answer("a", 0.1, 200, 2.0, 3.0, "words"), Answer("a", 0.2, 503), Answer("a", 9.0)]
    load = {
        "knee": 1,
        "steps": [figures(1, 2.0, answers, ALONE), figures(2, 2.0, answers[1:], ALONE)],
        "recordings": {"count": 2, "seconds": 5.0},
    }
    row = {"minutes": 5.0, "upload_mib": 1.5, "took_mib": 2.25}
    memory = {"formats": {"ogg": {"short": row, "long": row, "more_than_the_upload_mib": -0.4}}}
    counts = {f"{who}_more_{what}": {"value": 1.0} for who in SERVICES for what in HELD}
    slopes = {f"{who}_memory_slope_mib_per_1000_requests": {"value": 0.0123} for who in SERVICES}
    looks = {who: [[10, 200.0, 1, 1, 1, 1.0], [20, 210.4, 1, 1, 1, 2.0]] for who in SERVICES}
    soak = {
        "requests": 20_000, "minutes": 12.5, "audio_hours": 15.25, "broken_off": 800, "lost": 0,
        "unexpected": {"x: 500": 2}, "marks": counts | slopes, **looks,
    }  # fmt: skip
    told = services(load, memory, soak)
    assert "2 recordings of 2.5 s on average, 2 s a step; the knee is at **1**" in told
    assert "| 1 | 3 | 100 / 100 / 100 | 3 / 3 | 0.050 / 0.050 | 1.0 | 1 | 1 | 0 |" in told
    assert "| 2 | 2 | – / – / – | – / – | – / – | 0.0 | 1 | 1 | 0 |" in told
    assert "| ogg | 5 | 1.5 | 2.2 | -0.4 |" in told
    assert (
        "20,000 requests in 12.5 minutes, 15.2 hours of audio, 800 broken off by the client; 0 lost, 2"
        in told
    )
    assert "| memory, MiB per 1,000 requests | +0.012 | +0.012 |" in told
    assert "| memory at the end, MiB | 210 | 210 |" in told


SERVICES = ("primary", "fallback")
HELD = ("descriptors", "threads", "tasks")
