"""``GET /v1/metrics``."""

from __future__ import annotations

import asyncio

from rtc_stt import __version__
from rtc_stt.errors import BadAudio
from rtc_stt.gpu import GpuReading
from signaling.metrics import Metrics
from tests.signaling.service import KEY, FakeTranscriber, serving


class Gpus:
    """Two, of which one does not tell how busy it is."""

    def read(self) -> list[GpuReading]:
        return [GpuReading(0, 1_000.0, 16_000.0, 37.0), GpuReading(1, 2_000.0, 16_000.0, None)]


async def test_it_tells_how_the_server_is_doing():
    transcriber, queue = FakeTranscriber(), {"step": "normal", "queued_bytes": 0, "tiers": {}}
    async with serving(transcriber, metrics=Metrics(Gpus()), queue=lambda: queue) as service:
        for _ in range(3):
            await service.post()
        transcriber.says = BadAudio("no")
        await service.post()
        transcriber.gate.clear()
        working = asyncio.create_task(service.post())
        while len(transcriber.asked) < 5:
            await asyncio.sleep(0.001)
        told = await (await service.get("/v1/metrics")).json()
        transcriber.gate.set()
        await working
    assert 0 <= told.pop("uptime_s") < 60
    latency = told.pop("latency_ms")
    assert told == {
        "version": __version__,
        "commit": "abc123",
        "name": "primary",
        "in_flight": 1,
        "load": "normal",
        "queue": queue,
        "requests": {
            "total": 5,
            "by_endpoint": {"/v1/transcribe": 5},
            "by_status": {"2xx": 3, "4xx": 1},
            "exceptions": {"bad_audio": 1},
            "fallback": {"used": 0, "skipped": 3, "failed": 0},
        },
        "gpus": [
            {"index": 0, "mem_used_mb": 1_000.0, "mem_total_mb": 16_000.0, "utilization_pct": 37.0},
            {"index": 1, "mem_used_mb": 2_000.0, "mem_total_mb": 16_000.0, "utilization_pct": None},
        ],
    }
    assert set(latency) == {"total", "queue_wait", "primary_infer"}
    assert latency["primary_infer"] == {"count": 3, "p50": 40.0, "p95": 40.0, "p99": 40.0}
    assert 0 < latency["total"]["p50"] <= latency["total"]["p99"] < 10_000


async def test_it_needs_a_key_where_there_are_keys():
    async with serving(FakeTranscriber(), api_keys=(KEY,)) as service:
        assert (await service.get("/v1/metrics")).status == 401
        answer = await service.get("/v1/metrics", Authorization=f"Bearer {KEY}")
        assert (await answer.json())["latency_ms"] == {}
