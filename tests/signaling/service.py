"""A service over TCP, started as the command does, whose transcriber or engines a test has in its hand."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Callable
from typing import Any, BinaryIO

from aiohttp import ClientResponse, ClientSession, FormData

from rtc_stt.config import Recordings
from rtc_stt.events import Decision, FastResult, Reason, Route
from rtc_stt.hypothesis import Tier, Word
from rtc_stt.service.transcript import Dropped, Options, Segment, Spent, Transcript
from rtc_stt.spans import SpanSink
from signaling.calls import Health
from signaling.keys import DRAIN, TRANSCRIBER
from signaling.metrics import Metrics
from signaling.serve import listening
from signaling.service_app import create_service_app
from signaling.settings import Access, Logs, Server
from tests.signaling.forms import Line

KEY = "a-key-of-sixteen-chars"
FIGURES = (
    "X-Queue-Wait-ms", "X-Primary-Infer-ms", "X-Fallback-Infer-ms", "X-Total-ms", "X-Fallback-Used",
    "X-Final-Model", "X-Conf-Below", "X-Lang-Check-Applicable",
)  # fmt: skip
HEALTHY = Health(ready=True, sessions=0, load="normal")


def segment(
    text: str = "turn on the light",
    decision: Decision = Decision.ACCEPTED,
    reasons: tuple[Reason, ...] = (),
    *,
    start_ms: int = 100,
    words: tuple[Word, ...] = (),
) -> Segment:
    """One that came about as told."""
    is_redecoded = decision in (Decision.REDECODED, Decision.VERIFIED)
    return Segment(
        id=0,
        start_ms=start_ms,
        end_ms=start_ms + 1_000,
        text=text,
        language="en",
        language_probability=0.99,
        avg_logprob=-0.1,
        no_speech_prob=0.01,
        compression_ratio=1.1,
        model="medium" if is_redecoded else "small",
        tier=Tier.ACCURATE if is_redecoded else Tier.FAST,
        route=Route(decision, reasons, FastResult(text, 0.9)),
        words=words,
    )


def transcript(
    *segments: Segment, dropped: tuple[Dropped, ...] = (), fallback_error: str | None = None
) -> Transcript:
    """Of these segments."""
    return Transcript(
        duration_ms=2_000,
        segments=segments,
        dropped=dropped,
        spent=Spent(queue_ms=3, primary_infer_ms=40, fallback_infer_ms=0),
        model="small",
        fallback_error=fallback_error,
    )


class FakeTranscriber:
    """Says what it is told to, once its gate is open."""

    def __init__(self) -> None:
        self.says: Transcript | Exception = transcript(segment())
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[Options] = []
        self.heard: list[bytes] = []
        self.is_gone: Callable[[], bool] = lambda: False
        self.cancelled = 0
        self.drained = 0
        self.known: list[Segment] = []
        """Told before the gate is open."""

    async def transcribe(
        self,
        upload: BinaryIO,
        options: Options,
        *,
        is_gone: Callable[[], bool] = lambda: False,
        tell: Callable[[Segment], None] = lambda _: None,
    ) -> Transcript:
        self.is_gone = is_gone
        self.asked.append(options)
        self.heard.append(upload.read())
        for said in self.known:
            tell(said)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    async def drain(self, seconds: float) -> None:
        self.drained += 1


class Service:
    """What runs, and a client of it."""

    def __init__(self, app: Any, port: int, metrics: Metrics, session: ClientSession) -> None:
        self.app, self.port, self.metrics, self.session = app, port, metrics, session
        self.transcriber: Any = app[TRANSCRIBER]
        self.url = f"http://127.0.0.1:{port}"

    async def drain(self, seconds: float) -> None:
        await self.app[DRAIN](seconds)

    async def line(self) -> Line:
        return await Line.to(self.port)

    async def get(self, path: str, **headers: str) -> ClientResponse:
        response = await self.session.get(self.url + path, headers=headers)
        await response.read()
        return response

    async def post(
        self, audio: bytes = b"RIFF....", headers: dict[str, str] | None = None, **fields: str
    ) -> ClientResponse:
        """A recording to ``/v1/transcribe``; the answer with its body."""
        data = FormData()
        for name, value in fields.items():
            data.add_field(name, value)
        data.add_field("audio", io.BytesIO(audio), filename="a.wav", content_type="audio/wav")
        response = await self.session.post(f"{self.url}/v1/transcribe", data=data, headers=headers)
        await response.read()
        return response

    def count(self, name: str, **labels: str) -> float:
        """What a metric says."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@contextlib.asynccontextmanager
async def serving(
    transcriber: Any,
    *,
    health: Callable[[], Health] = lambda: HEALTHY,
    recordings: dict[str, Any] | None = None,
    access: dict[str, Any] | None = None,
    metrics: Metrics | None = None,
    queue: Callable[[], Any] = dict,
    add_routes: Callable[[Any], None] = lambda _: None,
    logs: Logs | None = None,
    sink: SpanSink | None = None,
    **server: Any,
) -> AsyncIterator[Service]:
    """A service of these settings, for the block; ``add_routes`` adds more of them to its application."""
    metrics = metrics or Metrics()
    app = create_service_app(
        transcriber,
        Server(host="127.0.0.1", port=0, **({"drain_seconds": 0.0} | server)),
        Access(**(access or {})),
        Recordings(**(recordings or {})),
        metrics,
        name="primary",
        commit="abc123",
        health=health,
        queue=queue,
        logs=logs,
        sink=sink,
    )
    add_routes(app)
    async with ClientSession() as session, listening(app) as port:
        yield Service(app, port, metrics, session)


async def error_of(response: ClientResponse) -> dict[str, str]:
    """The error that was answered, in the form of the contract; its headers say the same."""
    told = (await response.json())["error"]
    assert set(told) == {"type", "message", "request_id"}
    assert told["request_id"] == response.headers["X-Req-Id"]
    assert response.headers["X-Error-Type"] == told["type"]
    assert response.headers["X-Error-Message"][:20].isascii()
    return dict(told)
