"""``POST /v1/audio/transcriptions``: a form in, an answer out, whole or in pieces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import FormData

from rtc_stt.errors import BadAudio, DecodeFailed, Gone
from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.service.transcript import Dropped
from signaling.openai_recordings import PATH
from tests.line import until
from tests.signaling.service import FIGURES, KEY, FakeTranscriber, Service, segment, serving, transcript
from tests.signaling.test_openapi import check


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(FakeTranscriber()) as made:
        yield made


def form(*fields: tuple[str, str], file: bytes | None = b"RIFF....") -> FormData:
    data = FormData()
    for name, value in fields:
        data.add_field(name, value)
    if file is not None:
        data.add_field("file", file, filename="a.wav", content_type="audio/wav")
    return data


async def post(service: Service, *fields: tuple[str, str], **headers: str) -> Any:
    response = await service.session.post(service.url + PATH, data=form(*fields), headers=headers)
    await response.read()
    return response


async def error_of(response: Any) -> dict[str, Any]:
    told = (await response.json())["error"]
    assert set(told) == {"message", "type", "param", "code", "request_id"}
    assert told["request_id"] == response.headers["X-Req-Id"]
    return dict(told)


def events(text: str) -> list[Any]:
    return [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.startswith("data: ")]


# ── Whole ──


async def test_a_recording_is_transcribed(service):
    answer = await post(service, ("model", "whisper-1"), ("language", "en"))
    assert answer.status == 200
    assert (await answer.json())["text"] == "turn on the light"
    assert set(FIGURES) <= set(answer.headers)
    [options] = service.transcriber.asked
    assert options.language == "en"
    assert service.transcriber.heard == [b"RIFF...."]
    assert service.count("stt_requests_total", endpoint=PATH) == 1


async def test_fields_may_be_there_more_than_once(service):
    answer = await post(
        service,
        ("response_format", "verbose_json"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("keywords[]", "Anna"),
        ("keywords[]", "Ohm"),
    )
    assert {"words", "segments"} < set(await answer.json())
    assert service.transcriber.asked[0].hotwords == "Anna, Ohm"


@pytest.mark.parametrize("kind", ["json", "verbose_json", "text", "srt", "vtt"])
@pytest.mark.parametrize("says", [transcript(segment(), segment("two")), transcript()])
async def test_every_answer_is_as_described(service, says, kind):
    service.transcriber.says = says
    document = await (await service.get("/openapi.json")).json()
    await check(document, await post(service, ("response_format", kind)), PATH, "post")


@pytest.mark.parametrize(
    ("fields", "status", "word"),
    [
        ((("temperature", "0.7"),), 400, "temperature"),
        ((("known_speaker_names[]", "Anna"),), 400, "known_speaker_names"),
        ((("model", "a"), ("model", "b")), 400, "model"),
        ((("audio", "x"),), 400, "audio"),
    ],
)
async def test_what_is_not_offered_is_refused_by_name(service, fields, status, word):
    answer = await post(service, *fields)
    told = await error_of(answer)
    assert (answer.status, told["type"], told["code"]) == (status, "invalid_request_error", "bad_request")
    assert word in told["message"]
    document = await (await service.get("/openapi.json")).json()
    await check(document, answer, PATH, "post")


async def test_without_a_file_it_says_so(service):
    response = await service.session.post(service.url + PATH, data=form(("model", "x"), file=None))
    assert "file" in (await error_of(response))["message"]


async def test_errors_have_their_form_whoever_finds_them():
    async with serving(FakeTranscriber(), api_keys=(KEY,)) as service:
        answer = await post(service)
        told = await error_of(answer)
        assert (answer.status, told["type"], told["code"]) == (401, "authentication_error", "unauthorized")
        assert (await post(service, Authorization=f"Bearer {KEY}")).status == 200
        service.transcriber.says = BadAudio("no audio")
        answer = await post(service, Authorization=f"Bearer {KEY}")
        assert (answer.status, (await error_of(answer))["code"]) == (400, "bad_audio")
        await service.drain(0)
        answer = await post(service, Authorization=f"Bearer {KEY}")
        assert (answer.status, (await error_of(answer))["type"]) == (503, "server_error")
        assert "Retry-After" in answer.headers


async def test_the_fast_text_stands_where_the_fallback_failed_and_says_so(service):
    service.transcriber.says = transcript(
        segment(decision=Decision.REDECODE_FAILED, reasons=(Reason.FEW_WORDS,)), fallback_error="gone"
    )
    answer = await post(service)
    assert (await answer.json())["degraded"] is True
    assert answer.headers["X-Fallback-Error"] == "gone"


# ── In pieces ──


async def test_pieces_come_as_they_become_known(service):
    service.transcriber.gate.clear()
    service.transcriber.known = [segment("one"), segment("two")]
    service.transcriber.says = transcript(*service.transcriber.known)
    data = form(("stream", "true"))
    async with service.session.post(service.url + PATH, data=data) as response:
        assert response.content_type == "text/event-stream"
        assert response.headers["X-Req-Id"]
        async with asyncio.timeout(5):
            first = await response.content.readuntil(b"\n\n")
        assert events(first.decode()) == [{"type": "transcript.text.delta", "delta": "one"}]
        service.transcriber.gate.set()
        *deltas, done = events((await response.read()).decode())
    assert [event["delta"] for event in deltas] == [" two"]
    assert (done["type"], done["text"]) == ("transcript.text.done", "one two")
    assert service.count("stt_requests_total", endpoint=PATH) == 1


async def test_an_error_before_the_first_piece_is_as_any_other(service):
    service.transcriber.says = BadAudio("no audio")
    answer = await post(service, ("stream", "true"))
    assert (answer.status, (await error_of(answer))["code"]) == (400, "bad_audio")


@pytest.mark.parametrize(
    ("says", "code"),
    [
        (DecodeFailed("nobody could"), "decode_failed"),
        (ZeroDivisionError("secret"), "internal"),
        (
            transcript(
                segment("one"), dropped=(Dropped(0, 9, DropReason.DECODE_FAILED, Decision.REDECODE_FAILED),)
            ),
            "fallback_failed",
        ),
    ],
    ids=lambda value: str(value)[:12],
)
async def test_an_error_after_it_is_the_last_event(service, says, code):
    service.transcriber.known = [segment("one")]
    service.transcriber.says = says
    answer = await post(service, ("stream", "true"))
    assert answer.status == 200
    text = await answer.text()
    assert "event: error\n" in text
    assert "secret" not in text
    assert events(text)[-1]["error"]["code"] == code
    assert service.count("stt_requests_exceptions_total", endpoint=PATH, type=code) == 1


async def test_who_leaves_is_not_worked_for(service):
    service.transcriber.gate.clear()
    service.transcriber.known = [segment("one")]
    response = await service.session.post(service.url + PATH, data=form(("stream", "true")))
    await response.content.readuntil(b"\n\n")
    response.close()
    await until(lambda: service.transcriber.is_gone())
    service.transcriber.says = Gone("nobody waits")
    service.transcriber.gate.set()
    await until(lambda: service.count("stt_requests_exceptions_total", endpoint=PATH, type="client_gone"))
