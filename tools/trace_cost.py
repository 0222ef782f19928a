"""What traces cost a turn: ``python -m tools.trace_cost``. Sessions with a scripted engine, with and without.

The time is that of the event loop's thread, in which all sessions live. Spans go to an exporter that throws
them away: what a collector takes is spent in the SDK's own thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import Tier
from rtc_stt.instrument import Instrument
from rtc_stt.otlp import OtlpSink
from rtc_stt.session import Session, Speech
from rtc_stt.spans import SpanSink
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, render
from rtc_stt.vad import VadBatcher

TURNS, ROUNDS = 40, 3
TURN_MS = 2_000
PIECE = SAMPLE_RATE // 50


class Nowhere(SpanExporter):
    """Throws away."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        pass


async def measure(sink: SpanSink | None) -> float:
    """Microseconds of the loop's thread for each turn."""
    script = [Said(TURN_MS * n + 300, TURN_MS * n + 1_000, "yes") for n in range(TURNS)]
    audio = render(script, TURN_MS * TURNS)
    engines = {Tier.FAST: ScriptedEngine(script), Tier.ACCURATE: ScriptedEngine(script)}
    speech = Speech(VadBatcher(ScriptedVad(script)), DecodePool(engines, concurrency=1), sink=sink)
    finals = 0

    def deliver(event: object) -> None:
        nonlocal finals
        finals += type(event).__name__ == "TranscriptFinal"

    session = Session(speech, deliver, transport="file")
    session.start()
    began = time.thread_time()
    for start in range(0, len(audio), PIECE):
        session.receive_audio(audio[start : start + PIECE])
        while session.backlog_s > 0.1:
            await asyncio.sleep(0.001)
    session.finish("end_of_file")
    await session.ended
    spent_s = time.thread_time() - began
    speech.vad.close()
    await speech.pool.aclose()
    assert finals == TURNS, f"{finals} finals of {TURNS} turns"
    return spent_s / TURNS * 1e6


async def main() -> None:
    """Both ways in turn; of each the best round, which was disturbed least."""
    sink = OtlpSink(Nowhere(), "gateway", Instrument())
    without, with_sink = [], []
    for _ in range(ROUNDS):
        without.append(await measure(None))
        with_sink.append(await measure(sink))
    await sink.aclose()
    best, best_with = min(without), min(with_sink)
    print(f"a turn of {TURN_MS} ms, the loop's thread: {best:.0f} µs without, {best_with:.0f} µs with traces")


if __name__ == "__main__":
    asyncio.run(main())
