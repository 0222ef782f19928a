"""``POST /v1/transcribe``: statuses, headers, limits, metrics. The transcriber does as it is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import pytest

from rtc_stt.errors import AudioTooLong, BadAudio, BadRequest, DecodeFailed
from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.hypothesis import Word
from rtc_stt.service.transcript import Dropped, Options
from signaling.calls import Health
from signaling.keys import GATE
from tests.signaling.forms import TYPE, recording
from tests.signaling.service import (
    FIGURES,
    KEY,
    FakeTranscriber,
    Service,
    error_of,
    segment,
    serving,
    transcript,
)

FAILED = transcript(
    segment(decision=Decision.REDECODE_FAILED, reasons=(Reason.LOW_LOGPROB,)),
    fallback_error="the fallback at place 1 answers 503",
)
LOST = transcript(
    dropped=(Dropped(0, 900, DropReason.DECODE_FAILED, Decision.REDECODE_FAILED),), fallback_error="no answer"
)


@pytest.fixture
def transcriber() -> FakeTranscriber:
    return FakeTranscriber()


@pytest.fixture
async def service(transcriber: FakeTranscriber) -> AsyncIterator[Service]:
    """Without keys."""
    async with serving(transcriber) as made:
        yield made


async def until(true: Callable[[], object], seconds: float = 3.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.005)


# ── What is answered ────────────────────────────────────────────────────────────


async def test_a_recording_becomes_a_transcript(service, transcriber):
    answer = await service.post(b"some audio")
    assert answer.status == 200
    assert transcriber.heard == [b"some audio"]
    assert transcriber.asked == [Options()]
    assert await answer.json() == {
        "text": "turn on the light",
        "language": "en",
        "duration_ms": 2_000,
        "model": "small",
        "degraded": False,
        "request_id": answer.headers["X-Req-Id"],
    }


async def test_the_fields_reach_the_transcriber(service, transcriber):
    await service.post(language="de", prompt="Grüße", hotwords="Ampel", word_timestamps="true", cut="false")
    assert transcriber.asked == [
        Options(language="de", prompt="Grüße", hotwords="Ampel", word_timestamps=True, cut=False)
    ]


async def test_empty_fields_are_as_none(service, transcriber):
    await service.post(language="", prompt=" ", word_timestamps="", response_format="", cut="")
    assert transcriber.asked == [Options()]


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
async def test_python_and_javascript_spell_true_differently(service, transcriber, value):
    await service.post(word_timestamps=value)
    assert transcriber.asked[0].word_timestamps is True


@pytest.mark.parametrize(
    ("form", "kind", "begins"),
    [
        ("json", "application/json", '{"text": "turn on the light"'),
        ("verbose_json", "application/json", '{"text": "turn on the light"'),
        ("text", "text/plain", "turn on the light"),
        ("srt", "application/x-subrip", "1\n00:00:00,100 --> "),
        ("vtt", "text/vtt", "WEBVTT\n"),
    ],
)
async def test_the_forms(service, form, kind, begins):
    answer = await service.post(response_format=form)
    assert answer.status == 200
    assert (answer.content_type, answer.charset) == (kind, "utf-8")
    assert (await answer.text()).startswith(begins)


async def test_words_are_told_where_asked_for(service, transcriber):
    transcriber.says = transcript(segment("hi", words=(Word("hi", 100, 200, 0.9),)))
    plain = await (await service.post(response_format="verbose_json")).json()
    timed = await (await service.post(response_format="verbose_json", word_timestamps="true")).json()
    assert "words" not in plain["segments"][0]
    assert timed["segments"][0]["words"][0]["word"] == "hi"


async def test_a_long_transcript_is_written_too(service, transcriber):
    transcriber.says = transcript(*(segment(f"number {n}", start_ms=n * 2_000) for n in range(500)))
    body = await (await service.post(response_format="verbose_json")).json()
    assert len(body["segments"]) == 500


@pytest.mark.parametrize(
    ("says", "fields", "told"),
    [
        (transcript(segment()), {}, ("false", "small", "false", "true")),
        (transcript(segment()), {"language": "en"}, ("false", "small", "false", "false")),
        (transcript(), {}, ("false", "small", "false", "true")),
        (
            transcript(segment(decision=Decision.REDECODED, reasons=(Reason.LOW_LOGPROB,))),
            {},
            ("true", "medium", "true", "true"),
        ),
        (
            transcript(segment(), segment(decision=Decision.VERIFIED, reasons=(Reason.FEW_WORDS,))),
            {},
            ("true", "small+medium", "true", "true"),
        ),
        (
            transcript(segment(decision=Decision.REDECODED, reasons=(Reason.LOW_LANGUAGE_PROBABILITY,))),
            {},
            ("true", "medium", "false", "true"),
        ),
        (
            transcript(segment(decision=Decision.NO_ACCURATE_TIER, reasons=(Reason.FEW_WORDS,))),
            {},
            ("false", "small", "true", "true"),
        ),
    ],
)
async def test_the_headers_tell_how_it_came_about(service, transcriber, says, fields, told):
    transcriber.says = says
    answer = await service.post(**fields)
    assert answer.status == 200
    names = ("X-Fallback-Used", "X-Final-Model", "X-Conf-Below", "X-Lang-Check-Applicable")
    assert tuple(answer.headers[name] for name in names) == told
    assert answer.headers["X-Queue-Wait-ms"] == "3"
    assert answer.headers["X-Primary-Infer-ms"] == "40"
    assert answer.headers["X-Fallback-Infer-ms"] == "0"
    assert 0 <= int(answer.headers["X-Total-ms"]) < 5_000
    assert "X-Error-Type" not in answer.headers


# ── Where the fallback fails ────────────────────────────────────────────────────────────


async def test_where_the_fallback_fails_it_is_502_with_all_that_is_known(service, transcriber):
    transcriber.says = FAILED
    answer = await service.post()
    assert answer.status == 502
    error = await error_of(answer)
    assert error["type"] == "fallback_failed"
    assert "on_fallback_failure=degrade" in error["message"]
    assert answer.headers["X-Fallback-Error"] == "the fallback at place 1 answers 503"
    assert set(FIGURES) <= set(answer.headers)
    assert answer.headers["X-Fallback-Used"] == "false"
    assert answer.headers["X-Conf-Below"] == "true"
    assert service.count("stt_fallback_total", result="failed") == 1


async def test_who_asks_for_it_gets_the_primarys_text(service, transcriber):
    transcriber.says = FAILED
    answer = await service.post(on_fallback_failure="degrade")
    assert answer.status == 200
    assert (await answer.json())["degraded"] is True
    assert answer.headers["X-Fallback-Error"] == "the fallback at place 1 answers 503"
    assert service.count("stt_fallback_total", result="failed") == 1


async def test_where_there_is_no_text_to_fall_back_on_it_is_502_all_the_same(service, transcriber):
    transcriber.says = LOST
    answer = await service.post(on_fallback_failure="degrade")
    assert answer.status == 502
    assert "degrade" not in (await error_of(answer))["message"]


async def test_where_the_server_is_too_busy_to_ask_it_is_503(service, transcriber):
    transcriber.says = transcript(segment(decision=Decision.REDECODE_SHED, reasons=(Reason.FEW_WORDS,)))
    answer = await service.post()
    assert answer.status == 503
    assert (await error_of(answer))["type"] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["X-Fallback-Error"] == "no capacity"
    assert (await (await service.post(on_fallback_failure="degrade")).json())["degraded"] is True
    assert service.count("stt_fallback_total", result="failed") == 2


async def test_a_fallback_that_babbles_has_failed(service, transcriber):
    transcriber.says = transcript(segment(decision=Decision.REDECODE_FAILED, reasons=(Reason.FEW_WORDS,)))
    answer = await service.post()
    assert (answer.status, answer.headers["X-Fallback-Error"]) == (502, "its text loops")


# ── What is refused ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BadAudio("this is no audio"), 400, "bad_audio"),
        (BadRequest("language must be one of de, en"), 400, "bad_request"),
        (AudioTooLong("longer than 7200 s"), 413, "audio_too_long"),
        (DecodeFailed("the model is broken"), 500, "decode_failed"),
        (RuntimeError("secret"), 500, "internal"),
    ],
)
async def test_what_the_transcriber_refuses_is_told(service, transcriber, error, status, kind):
    transcriber.says = error
    answer = await service.post()
    assert answer.status == status
    told = await error_of(answer)
    assert told["type"] == kind
    assert "secret" not in told["message"]
    assert answer.headers["X-Fallback-Used"] == "false"
    assert int(answer.headers["X-Total-ms"]) >= 0
    labels = {"endpoint": "/v1/transcribe", "type": kind}
    assert service.count("stt_requests_exceptions_total", **labels) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"word_timestamps": "maybe"}, ("word_timestamps", "true or false")),
        ({"cut": "1"}, ("cut", "true or false")),
        ({"response_format": "xml"}, ("response_format", "json", "verbose_json", "text", "srt", "vtt")),
        ({"on_fallback_failure": "retry"}, ("on_fallback_failure", "error or degrade")),
        ({"temperature": "0"}, ("temperature", "audio", "language")),
    ],
)
async def test_a_wrong_field_is_named_with_what_may_stand_there(service, transcriber, fields, words):
    answer = await service.post(**fields)
    assert answer.status == 400
    message = (await error_of(answer))["message"]
    for word in words:
        assert word in message
    assert transcriber.asked == []


async def test_messages_are_fit_for_headers(service, transcriber):
    transcriber.says = BadRequest("zwei\r\nZeilen: Grüße an 東京" + "x" * 1_000)
    answer = await service.post()
    assert answer.headers["X-Error-Message"].startswith("zwei??Zeilen: Gr??e an ??xxx")
    assert len(answer.headers["X-Error-Message"]) <= 500


@pytest.mark.parametrize(
    ("headers", "status", "kind"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer wrong-key-of-sixteen"}, 401, "unauthorized"),
        ({"Authorization": f"Bearer {KEY}"}, 200, None),
    ],
)
async def test_a_key_is_needed_where_there_are_keys(transcriber, headers, status, kind):
    async with serving(transcriber, api_keys=(KEY,)) as service:
        answer = await service.post(headers=headers)
        assert answer.status == status
        if kind:
            assert (await error_of(answer))["type"] == kind
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert service.count("stt_requests_exceptions_total", endpoint="/v1/transcribe", type=kind) == 1
        assert service.count("stt_requests_total", endpoint="/v1/transcribe") == 1


async def test_a_token_begins_sessions_and_transcribes_nothing(transcriber):
    async with serving(transcriber, api_keys=(KEY,)) as service:
        authority = service.app[GATE].authority
        key_id = authority.identify(f"Bearer {KEY}").key_id
        token = authority.issue(key_id, time.time(), b"0" * 16)
        answer = await service.post(headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 401
        assert "needs a key" in (await error_of(answer))["message"]


async def test_a_key_has_its_rate(transcriber):
    limits = {"rate_limit_rps": 0.1, "rate_limit_burst": 2}
    async with serving(transcriber, api_keys=(KEY,), access=limits) as service:
        answers = [await service.post(headers={"Authorization": f"Bearer {KEY}"}) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert (await error_of(answers[2]))["type"] == "too_many"
        assert int(answers[2].headers["Retry-After"]) > 0
        assert len(transcriber.asked) == 2
        assert service.count("rtc_stt_rejected_total", reason="rate") == 1


async def test_a_key_has_its_quota_and_its_book(transcriber):
    async with serving(transcriber, api_keys=(KEY,), access={"daily_audio_seconds": 3.0}) as service:
        key = {"Authorization": f"Bearer {KEY}"}
        assert [(await service.post(headers=key)).status for _ in range(3)] == [200, 200, 429]
        answer = await service.post(headers=key)
        assert (await error_of(answer))["type"] == "quota_exceeded"
        assert int(answer.headers["Retry-After"]) > 0
        usage = await (await service.get("/v1/usage", **key)).json()
        assert usage["days"][-1]["audio_seconds"] == 4.0
        assert usage["days"][-1]["requests"] == 2


async def test_work_that_ends_in_502_is_in_the_book_too(transcriber):
    transcriber.says = FAILED
    async with serving(transcriber) as service:
        await service.post()
        assert (await (await service.get("/v1/usage")).json())["days"][-1]["requests"] == 1


async def test_pages_of_foreign_names_are_refused(service):
    answer = await service.post(headers={"Host": "evil.example"})
    assert answer.status == 403
    await error_of(answer)


# ── How many, and who waits ────────────────────────────────────────────────────────────


async def test_as_many_as_max_requests_and_then_503_before_the_body_is_read(transcriber):
    transcriber.gate.clear()
    async with serving(transcriber, recordings={"max_requests": 2}) as service:
        working = [asyncio.create_task(service.post()) for _ in range(2)]
        await until(lambda: len(transcriber.asked) == 2)
        line = await service.line()
        await line.head(Content_Type=TYPE, Content_Length="1000000", Expect="100-continue")
        answer = await line.answer()
        assert (answer.status, answer.json["error"]["type"]) == (503, "unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Connection"] == "close"
        assert service.count("rtc_stt_rejected_total", reason="requests") == 1
        await line.close()
        transcriber.gate.set()
        assert [(await task).status for task in working] == [200, 200]
        assert (await service.post()).status == 200


async def test_a_connection_whose_body_is_not_wanted_is_ended_and_the_answer_is_seen(transcriber):
    """Also where the client sends on and on: an answer that is overtaken by a reset would be lost."""
    async with serving(transcriber, recordings={"max_upload_mb": 0.01}) as service:
        line = await service.line()
        await line.head(Content_Type=TYPE, Content_Length="3000000")
        await line.send(b"x" * 1_000_000)
        assert (await line.answer()).status == 413
        await line.send(b"x" * 2_000_000)
        assert await line.is_closed()
        await line.close()


async def test_what_is_whole_leaves_the_connection_open(service, transcriber):
    line, body = await service.line(), recording(language="x")
    for error, status in ((BadAudio("no"), 400), (transcript(), 200), (BadAudio("no"), 400)):
        transcriber.says = error
        await line.head(Content_Type=TYPE, Content_Length=str(len(body)))
        await line.send(body)
        answer = await line.answer()
        assert answer.status == status
        assert "Connection" not in answer.headers
    await line.close()


async def test_who_goes_while_it_is_worked_on_is_dropped(service, transcriber):
    transcriber.gate.clear()
    line, body = await service.line(), recording()
    await line.head(Content_Type=TYPE, Content_Length=str(len(body)))
    await line.send(body)
    await until(lambda: transcriber.asked)
    assert not transcriber.is_gone()
    await line.close()
    await until(transcriber.is_gone)
    transcriber.gate.set()


async def test_who_goes_in_mid_upload_is_counted_and_leaves_nothing(service, transcriber, caplog):
    line = await service.line()
    await line.head(Content_Type=TYPE, Content_Length="5000")
    await line.send(recording(b"x" * 1_000)[:500])
    await line.close()
    gone = {"endpoint": "/v1/transcribe", "type": "client_gone"}
    await until(lambda: service.count("stt_requests_exceptions_total", **gone) == 1)
    assert transcriber.asked == []
    assert "ERROR" not in caplog.text
    assert (await service.post()).status == 200


@pytest.mark.slow
async def test_a_slow_upload_is_408(transcriber):
    async with serving(transcriber, recordings={"upload_seconds": 1}) as service:
        line = await service.line()
        await line.head(Content_Type=TYPE, Content_Length="5000")
        answer = await line.answer()
        assert (answer.status, answer.json["error"]["type"]) == (408, "timeout")
        assert answer.headers["Connection"] == "close"
        await line.close()


# ── The end ────────────────────────────────────────────────────────────


async def test_a_drain_answers_who_was_let_in_and_refuses_who_comes(service, transcriber):
    transcriber.gate.clear()
    working = asyncio.create_task(service.post())
    await until(lambda: transcriber.asked)
    draining = asyncio.create_task(service.drain(5))
    await asyncio.sleep(0)
    refused = await service.post()
    assert refused.status == 503
    assert "shutting down" in (await error_of(refused))["message"]
    assert int(refused.headers["Retry-After"]) > 0
    ready = await service.get("/v1/ready")
    assert ready.status == 503
    assert (await service.get("/v1/health")).status == 200
    assert not draining.done()
    transcriber.gate.set()
    assert (await working).status == 200
    await asyncio.wait_for(draining, 1)
    assert transcriber.drained
    assert service.count("rtc_stt_rejected_total", reason="draining") == 1


async def test_a_drain_ends_in_time_and_tells_who_is_cut_off(service, transcriber):
    transcriber.gate.clear()
    working = asyncio.create_task(service.post())
    await until(lambda: transcriber.asked)
    began = time.monotonic()
    await service.drain(0.05)
    assert time.monotonic() - began < 0.5
    answer = await working
    assert answer.status == 503
    assert "shutting down" in (await error_of(answer))["message"]
    assert transcriber.cancelled == 1


async def test_a_drain_of_nothing_takes_no_time(service):
    began = time.monotonic()
    await service.drain(10)
    assert time.monotonic() - began < 0.5


# ── What is told of it ────────────────────────────────────────────────────────────


async def test_ready_says_what_is_worked_on_and_what_is_wrong(transcriber):
    health = Health(ready=True, sessions=0, load="normal", troubles=("the fallback at place 1 is down",))
    async with serving(transcriber, health=lambda: health) as service:
        told = await (await service.get("/v1/ready")).json()
    assert told == {
        "ok": True,
        "sessions": 0,
        "requests": 0,
        "load": "normal",
        "degraded": ["the fallback at place 1 is down"],
    }


async def test_the_metrics_of_the_contract(service, transcriber):
    await service.post()
    transcriber.says = transcript(segment(decision=Decision.REDECODED, reasons=(Reason.FEW_WORDS,)))
    await service.post()
    transcriber.says = BadAudio("no")
    await service.post()
    endpoint = {"endpoint": "/v1/transcribe"}
    assert service.count("stt_requests_total", **endpoint) == 3
    assert service.count("stt_requests_exceptions_total", **endpoint, type="bad_audio") == 1
    assert service.count("stt_request_total_seconds_count") == 2
    assert service.count("stt_fallback_total", result="used") == 1
    assert service.count("stt_fallback_total", result="skipped") == 1
    assert service.count("stt_fallback_total", result="failed") == 0
    text = await (await service.get("/metrics")).text()
    assert "stt_in_flight" in text


async def test_nothing_else_is_there(service):
    for method, path, status in (
        ("GET", "/v1/transcribe", 405),
        ("POST", "/whip", 404),
        ("GET", "/", 404),
        ("GET", "/v1/ice-servers", 404),
    ):
        answer = await service.session.request(method, service.url + path)
        assert answer.status == status, path
        assert set(json.loads(await answer.text())) == {"error"}
