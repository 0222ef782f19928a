"""Traces of a gateway and a fallback that really run, at a collector that really takes OTLP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio

from rtc_stt.audio import SAMPLE_RATE
from tests.collector import SERVER, Collected, Collector
from tests.e2e import support
from tests.e2e.support import Clip, silence, until
from tools.services.sounds import encode

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{CALLER}-01"
PCM = {"encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE}
PIECE = SAMPLE_RATE // 10
"""Samples of a message."""


@dataclass
class Servers:
    """A gateway whose accurate tier is a fallback, both with the same collector."""

    collector: Collector
    gateway: support.Process
    fallback: support.Process

    async def speak(self, clip: Clip, **headers: str) -> dict[str, Any]:
        """Say something over a WebSocket; gives its final."""
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{self.gateway.url()}/v1/stream", headers=headers) as ws,
        ):
            await ws.send_json({"type": "configure", "audio": PCM})
            audio = np.concatenate([silence(0.3), clip.audio, silence(0.9)])
            for start in range(0, len(audio), PIECE):
                await ws.send_bytes((audio[start : start + PIECE] * 32_767).astype("<i2").tobytes())
                await asyncio.sleep(PIECE / SAMPLE_RATE)
            async for message in ws:
                event: dict[str, Any] = json.loads(message.data)
                if event["type"] == "transcript.final":
                    return event
        raise AssertionError("there was no final")

    async def transcribe(self, clip: Clip, **headers: str) -> Mapping[str, str]:
        form = aiohttp.FormData()
        form.add_field("audio", encode(clip.audio, "wav"), filename="a.wav")
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.gateway.url()}/v1/transcribe", data=form, headers=headers) as response,
        ):
            assert response.status == 200, await response.text()
            return response.headers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    folder, collector = tmp_path_factory.mktemp("traces"), await Collector().start()
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    logs = ("--log-format", "json", "--log-level", "info")
    fallback = support.Process(folder / "fallback", "fallback", "--demo", "--port", "0", *logs, **traced)
    gateway = None
    try:
        url = await asyncio.to_thread(fallback.url)
        asking = {"CT2_MEDIUM_PATH": "", "FALLBACK_URL": url, "CONF_LOGPROB_THRESHOLD": "1"}
        gateway = support.Process(folder / "gateway", "demo", "--port", "0", *logs, **traced, **asking)
        await asyncio.to_thread(gateway.url)
        yield Servers(collector, gateway, fallback)
        for process in (gateway, fallback):
            await asyncio.to_thread(process.stop)
    finally:
        for process in filter(None, (gateway, fallback)):
            process.kill()
        await collector.stop()


def lines(process: support.Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.splitlines() if line.startswith("{")]


def nests(inner: Collected, outer: Collected) -> bool:
    return outer.start_ns <= inner.start_ns <= inner.end_ns <= outer.end_ns


async def test_a_turn_is_the_tree_of_the_design(servers: Servers, digits: list[Clip]) -> None:
    collector = servers.collector
    final = await servers.speak(digits[0], traceparent=TRACEPARENT, **{"X-Request-Id": "req-1"})
    assert final["route"]["decision"] == "redecoded"
    await until(lambda: collector.named("POST /v1/transcribe") and collector.named("turn"))
    await asyncio.sleep(0.5)
    (turn,) = collector.named("turn")
    assert (turn.trace_id, turn.service) == (TRACE_ID, "rtc-stt-gateway")
    parts = collector.children(turn)
    assert {span.name for span in parts} == {"speech", "endpointing", "queue", "decode", "redecode", "send"}
    by_name = {span.name: span for span in parts}
    for span in parts:
        assert nests(span, turn), span
        assert not span.is_error, span
    assert by_name["speech"].start_ns == turn.start_ns
    assert by_name["send"].end_ns == turn.end_ns
    assert by_name["queue"].end_ns == by_name["decode"].start_ns
    assert by_name["decode"].end_ns <= by_name["redecode"].end_ns
    assert by_name["decode"].attributes["rtc_stt.model"] == "demo-tiny"
    assert by_name["redecode"].attributes["rtc_stt.model"] == "demo-medium"
    assert turn.attributes["rtc_stt.route"] == "redecoded"
    # What the fallback did for it hangs below.
    (asked,) = collector.children(by_name["redecode"])
    assert (asked.name, asked.service, asked.kind) == ("POST /v1/transcribe", "rtc-stt-fallback", SERVER)
    assert [span.name for span in collector.children(asked)] == ["queue", "decode"]
    slack_ns = 20_000_000  # two processes, two readings of the clock
    assert by_name["redecode"].start_ns - slack_ns <= asked.start_ns
    assert asked.end_ns <= by_name["redecode"].end_ns + slack_ns


async def test_the_request_is_in_the_trace_of_its_caller(servers: Servers) -> None:
    (stream,) = servers.collector.named("GET /v1/stream", rtc_stt__request_id="req-1")
    assert (stream.trace_id, stream.parent_id, stream.kind) == (TRACE_ID, CALLER, SERVER)
    (turn,) = servers.collector.named("turn")
    assert turn.parent_id == stream.span_id


async def test_a_recording_has_the_detector_too(servers: Servers, digits: list[Clip]) -> None:
    headers = await servers.transcribe(digits[0], **{"X-Request-Id": "req-2"})
    assert headers["X-Request-Id"] == headers["X-Req-Id"] == "req-2"
    collector = servers.collector
    wanted = {"rtc_stt.request_id": "req-2"}
    found = await until(
        lambda: [s for s in collector.named("POST /v1/transcribe") if wanted.items() <= s.attributes.items()][
            1:
        ]
    )
    assert found, "the fallback has taken over the id"
    asked = next(
        s for s in collector.named("POST /v1/transcribe", rtc_stt__request_id="req-2") if not s.parent_id
    )
    names = [span.name for span in collector.children(asked)]
    assert names[0] == "detector"
    assert {"queue", "decode", "redecode"} <= set(names)
    assert all(nests(span, asked) for span in collector.children(asked))


async def test_no_attribute_holds_a_word(servers: Servers, digits: list[Clip]) -> None:
    said = digits[0].text.encode()
    assert said
    assert servers.collector.bodies
    for body in servers.collector.bodies:
        assert said not in body


async def test_lines_of_both_processes_are_found_by_the_same_ids(servers: Servers) -> None:
    here = [line for line in lines(servers.gateway) if line.get("request_id") == "req-1"]
    there = [line for line in lines(servers.fallback) if line.get("request_id") == "req-1"]
    assert {line["logger"] for line in here} >= {"rtc_stt.session", "rtc_stt.access"}
    assert {line["logger"] for line in there} == {"rtc_stt.access"}
    assert {line["trace_id"] for line in (*here, *there)} == {TRACE_ID}
    assert len({line["session_id"] for line in here if line["logger"] == "rtc_stt.session"}) == 1
    (access,) = [line for line in here if line["logger"] == "rtc_stt.access"]
    assert (access["method"], access["route"], access["status"]) == ("GET", "/v1/stream", 101)
    assert access["duration_ms"] > 100
    assert "remote" not in access


async def test_a_collector_that_is_away_is_not_waited_for(servers: Servers, digits: list[Clip]) -> None:
    servers.collector.status = 503
    began = time.monotonic()
    final = await servers.speak(digits[0])
    assert final["text"]
    assert time.monotonic() - began < 5
    servers.collector.status = 200
