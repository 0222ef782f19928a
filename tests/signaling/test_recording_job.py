"""What every endpoint for recordings shares, tried over one that is made up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientResponse, web

from rtc_stt.errors import BadAudio
from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.service.transcript import Dropped, Options, Transcript
from signaling.keys import GATE, IN_FLIGHT
from signaling.recording_job import take_on
from tests.signaling.service import FIGURES, KEY, FakeTranscriber, Service, segment, serving, transcript

PATH = "/v1/made-up"

GOOD = transcript(segment())
DOUBTED = transcript(segment(decision=Decision.REDECODED, reasons=(Reason.LOW_LOGPROB,)))
FAILED = transcript(
    segment(decision=Decision.REDECODE_FAILED, reasons=(Reason.FEW_WORDS,)),
    dropped=(Dropped(0, 900, DropReason.NO_SPEECH, Decision.ACCEPTED),),
    fallback_error="no answer",
)


class MadeUp:
    """Its endpoint: hears what it is told to, once its gate is open."""

    def __init__(self) -> None:
        self.hears: Transcript | Exception = GOOD
        self.options = Options()
        self.gate = asyncio.Event()
        self.gate.set()
        self.stages: Any = None

    async def post(self, request: web.Request) -> web.StreamResponse:
        shown = request.app[GATE].authority.identify(request.headers.get("Authorization"))
        async with take_on(request, PATH, shown) as job:
            await self.gate.wait()
            if isinstance(self.hears, Exception):
                raise self.hears
            if request.query.get("stream"):
                return await self._stream(request, job)
            job.note(self.options, self.hears)
            self.stages = job.stages
            return web.json_response({"text": "so be it"})

    async def _stream(self, request: web.Request, job: Any) -> web.StreamResponse:
        assert isinstance(self.hears, Transcript)
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"so ")
        job.note(self.options, self.hears)
        await answer.write(b"be it")
        return answer

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post(PATH, self.post)


@pytest.fixture
def made_up() -> MadeUp:
    return MadeUp()


@contextlib.asynccontextmanager
async def running(made_up: MadeUp, **how: Any) -> AsyncIterator[Service]:
    async with serving(FakeTranscriber(), add_routes=made_up.add_routes, **how) as service:
        yield service


async def post(service: Service, query: str = "", **headers: str) -> ClientResponse:
    answer = await service.session.post(f"{service.url}{PATH}{query}", headers=headers)
    await answer.read()
    return answer


async def test_what_was_heard_is_told_and_counted(made_up):
    async with running(made_up, api_keys=(KEY,)) as service:
        answer = await post(service, Authorization=f"Bearer {KEY}")
        assert answer.status == 200
        assert {name: answer.headers[name] for name in FIGURES} | {"X-Total-ms": ""} == {
            "X-Queue-Wait-ms": "3",
            "X-Primary-Infer-ms": "40",
            "X-Fallback-Infer-ms": "0",
            "X-Total-ms": "",
            "X-Fallback-Used": "false",
            "X-Final-Model": "small",
            "X-Conf-Below": "false",
            "X-Lang-Check-Applicable": "true",
        }
        assert 0 <= int(answer.headers["X-Total-ms"]) < 5_000
        assert made_up.stages == {"queue_wait": 0.003, "primary_infer": 0.04}
        assert service.count("stt_fallback_total", result="skipped") == 1
        assert service.count("stt_request_total_seconds_count") == 1
        used = await service.get("/v1/usage", Authorization=f"Bearer {KEY}")
        days = (await used.json())["days"]
        assert sum(day["audio_seconds"] for day in days) == 2.0
        assert sum(day["requests"] for day in days) == 1


@pytest.mark.parametrize(
    ("heard", "used", "result"),
    [(GOOD, "false", "skipped"), (DOUBTED, "true", "used"), (FAILED, "false", "failed")],
)
async def test_what_became_of_the_second_opinion_is_counted(made_up, heard, used, result):
    made_up.hears, made_up.options = heard, Options(language="en")
    async with running(made_up) as service:
        answer = await post(service)
        assert answer.headers["X-Fallback-Used"] == used
        assert answer.headers["X-Conf-Below"] == ("false" if heard is GOOD else "true")
        assert answer.headers["X-Lang-Check-Applicable"] == "false"
        assert service.count("stt_fallback_total", result=result) == 1


async def test_an_answer_that_has_begun_is_counted_too(made_up):
    async with running(made_up) as service:
        answer = await post(service, "?stream=1")
        assert await answer.text() == "so be it"
        assert "X-Final-Model" not in answer.headers
        assert service.count("stt_request_total_seconds_count") == 1


async def test_what_fails_is_neither_used_nor_answered_and_its_place_is_free(made_up):
    made_up.hears = BadAudio("no audio")
    async with running(made_up, recordings={"max_requests": 1}) as service:
        for _ in range(2):
            answer = await post(service)
            assert answer.status == 400
            assert int(answer.headers["X-Total-ms"]) >= 0
            assert answer.headers["X-Fallback-Used"] == "false"
        assert service.count("stt_request_total_seconds_count") == 0
        assert len(service.app[IN_FLIGHT]) == 0


async def test_there_are_so_many_places_whichever_endpoint_is_asked(made_up):
    made_up.gate.clear()
    async with running(made_up, recordings={"max_requests": 1}) as service:
        waiting = asyncio.create_task(post(service))
        while not len(service.app[IN_FLIGHT]):
            await asyncio.sleep(0.005)
        for refused in (await post(service), await service.post()):
            assert refused.status == 503
            assert "Retry-After" in refused.headers
            assert "X-Total-ms" in refused.headers
        made_up.gate.set()
        assert (await waiting).status == 200
        assert (await post(service)).status == 200


async def test_who_asks_too_often_is_told_before_there_is_a_place(made_up):
    limits = {"rate_limit_rps": 0.1, "rate_limit_burst": 2}
    async with running(made_up, api_keys=(KEY,), access=limits) as service:
        key = {"Authorization": f"Bearer {KEY}"}
        assert [(await post(service, **key)).status for _ in range(3)] == [200, 200, 429]
        assert len(service.app[IN_FLIGHT]) == 0


async def test_who_is_over_the_quota_is_turned_away(made_up):
    async with running(made_up, api_keys=(KEY,), access={"daily_audio_seconds": 3}) as service:
        key = {"Authorization": f"Bearer {KEY}"}
        assert [(await post(service, **key)).status for _ in range(3)] == [200, 200, 429]
        assert (await post(service, **key)).headers["X-Error-Type"] == "quota_exceeded"


async def test_who_hangs_in_a_drain_is_told_to_come_again(made_up):
    made_up.gate.clear()
    async with running(made_up) as service:
        waiting = asyncio.create_task(post(service))
        while not len(service.app[IN_FLIGHT]):
            await asyncio.sleep(0.005)
        await service.drain(0.05)
        assert (await waiting).status == 503
        assert (await post(service)).status == 503
