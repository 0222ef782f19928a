"""Figures of several processes add up to what one process would tell."""

from __future__ import annotations

import json
import re

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from signaling.metrics import Metrics
from signaling.workers import figures


def one(count: int, *, label: str = "a", level: float = 1.0, seconds: float = 0.3) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("things_total", "Things.", ["kind"], registry=registry).labels(label).inc(count)
    Gauge("level", "Level.", registry=registry).set(level)
    Histogram("wait_seconds", "Wait.", buckets=(0.1, 1), registry=registry).observe(seconds)
    return registry


def text(*registries: CollectorRegistry) -> str:
    merged = figures.Merged(figures.add(map(figures.take, registries)))
    return generate_latest(merged).decode()


def without_birth(exposition: str) -> list[str]:
    return sorted(line for line in exposition.splitlines() if "_created" not in line)


def test_one_process_alone_tells_what_it_always_did() -> None:
    registry = one(3)
    assert without_birth(text(registry)) == without_birth(generate_latest(registry).decode())


def test_counters_gauges_and_histograms_are_summed_by_name_and_labels() -> None:
    told = text(one(3, seconds=0.05), one(4, level=2.5), one(5, label="b", seconds=7))
    for line in (
        'things_total{kind="a"} 7.0',
        'things_total{kind="b"} 5.0',
        "level 4.5",
        'wait_seconds_bucket{le="0.1"} 1.0',
        'wait_seconds_bucket{le="1.0"} 2.0',
        'wait_seconds_bucket{le="+Inf"} 3.0',
        "wait_seconds_count 3.0",
        "wait_seconds_sum 7.35",
    ):
        assert line in told.splitlines(), told
    assert len(re.findall("^# TYPE things_total counter", told, re.MULTILINE)) == 1


def test_of_times_of_birth_the_earliest_holds() -> None:
    first, second = figures.take(one(1)), figures.take(one(1))
    (born,) = (key for family in first.values() for key in family if key[0] == "things_created")
    family = ("things", "Things.", "counter")
    assert figures.add([second, first])[family][born] == first[family][born]


def test_of_a_process_that_is_gone_the_counts_stay_and_the_states_go() -> None:
    kept = figures.lasting(figures.take(one(3)))
    assert [family[0] for family in kept] == ["things", "wait_seconds"]


def test_figures_survive_the_wire() -> None:
    taken = figures.take(one(3))
    assert figures.read(json.loads(json.dumps(figures.write(taken)))) == taken


def test_all_our_metrics_survive_it_too() -> None:
    taken = figures.take(Metrics().registry)
    assert figures.read(json.loads(json.dumps(figures.write(taken)))) == taken


async def test_the_endpoint_tells_the_sum() -> None:
    here, there = Metrics(), Metrics()
    here.audio_received(1.0)
    there.audio_received(2.5)
    there.session_opened("webrtc")

    async def others() -> list[figures.Figures]:
        return [figures.take(there.registry)]

    here.others = others
    response = await here.scrape(None)  # type: ignore[arg-type]
    assert isinstance(response.body, bytes)
    told = response.body.decode().splitlines()
    assert "rtc_stt_audio_seconds_total 3.5" in told
    assert 'rtc_stt_sessions{transport="webrtc"} 1.0' in told
