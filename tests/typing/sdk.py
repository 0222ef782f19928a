"""What calls of the SDK give, and which are mistakes. A ``type: ignore`` that is not needed is an error."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, assert_type

import aiohttp
import numpy as np

from rtc_stt.client import (
    CallEvent,
    CallEvents,
    Result,
    ServerState,
    SttClient,
    SttClientSync,
    SttPool,
    SttPoolSync,
    Telemetry,
)
from rtc_stt.errors import RtcSttError
from rtc_stt.percentiles import Percentiles
from rtc_stt.service.transcript import Segment, Transcript


def watch(told: Telemetry) -> None:
    assert_type(told.status, int | None)
    assert_type(told.retry_in_s, float | None)


async def one(session: aiohttp.ClientSession) -> None:
    async with SttClient("http://a", key="k", on_request=watch, session=session) as client:
        assert_type(client, SttClient)
        result = await client.transcribe(Path("a.wav"))
        assert_type(result, Result)
        assert_type(result.transcript, Transcript)
        assert_type(result.transcript.segments, tuple[Segment, ...])
        assert_type(result.text, str)
        assert_type(result.language, str | None)
        assert_type(result.queue_wait_ms, float | None)
        assert_type(client.latency, Percentiles)
        assert_type(await client.ready(), bool)
        assert_type(await client.usage(), dict[str, Any])
        for audio in ("a.wav", b"RIFF", io.BytesIO(), np.zeros(1, np.float32)):
            await client.transcribe(audio)
        pcm = np.zeros(1, np.int16)
        await client.transcribe(pcm)  # type: ignore[arg-type]
        await client.transcribe("a.wav", on_fallback_failure="never mind")  # type: ignore[arg-type]
        await client.transcribe("a.wav", "en")  # type: ignore[call-arg]


async def calls() -> None:
    async with CallEvents("http://a", key="k", call_id="c", last_seq=3) as events:
        assert_type(events, CallEvents)
        async for event in events:
            assert_type(event, CallEvent)
            assert_type(event.leg, str)
        assert_type(events.last_seq, int)


async def several() -> None:
    async with SttPool(["http://a", "http://b"]) as pool:
        assert_type(pool, SttPool)
        assert_type(await pool.transcribe("a.wav"), Result)
        assert_type(pool.servers, list[ServerState])
        assert_type(await pool.metrics(), dict[str, dict[str, Any]])


def scripts() -> None:
    with SttClientSync("http://a") as client, SttPoolSync(["http://a"]) as pool:
        assert_type(client, SttClientSync)
        assert_type(pool, SttPoolSync)
        assert_type(client.transcribe("a.wav", language="en"), Result)
        assert_type(pool.transcribe(b"RIFF"), Result)
        assert_type(client.metrics(), dict[str, Any])
        assert_type(pool.usage(), dict[str, dict[str, Any]])
        assert_type(pool.latency.p95, float | None)


def failed(error: RtcSttError) -> None:
    assert_type(error.request_id, str | None)
