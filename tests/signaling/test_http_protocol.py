"""What is no HTTP is answered as everything else that is wrong, counted, and quoted nowhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.signaling.service import FakeTranscriber, Service, serving

SECRET = b"a-secret-of-tests"

BROKEN = [
    pytest.param(b"\x16\x03\x01\x02\x00" + SECRET + b"\r\n\r\n", id="TLS"),
    pytest.param(b"HELO " + SECRET + b"\r\n\r\n", id="another protocol"),
    pytest.param(b"GET / HTTP/9.9\r\nX-A: " + SECRET + b"\r\n\r\n", id="version"),
    pytest.param(b"GET /" + SECRET + b" HTTP/1.1\r\nContent-Length: many\r\n\r\n", id="length"),
    pytest.param(b"POST / HTTP/1.1\r\nX-Odd: \0" + SECRET + b"\r\n\r\n", id="header"),
    pytest.param(b"GET /" + 9_000 * b"a" + SECRET + b" HTTP/1.1\r\n\r\n", id="long line"),
    pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", id="both"),
]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(FakeTranscriber()) as made:
        yield made


@pytest.mark.parametrize("words", BROKEN)
async def test_what_is_no_http_is_refused_in_the_form_of_the_contract(service, words, caplog):
    with caplog.at_level(logging.DEBUG):
        line = await service.line()
        await line.send(words)
        answer = await line.answer()
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    error = answer.json["error"]
    assert set(error) == {"type", "message", "request_id"}
    assert (error["type"], answer.headers["X-Error-Type"]) == ("bad_request", "bad_request")
    assert error["message"] == answer.headers["X-Error-Message"]
    assert error["request_id"] == answer.headers["X-Req-Id"]
    assert await line.is_closed()
    await line.close()
    assert service.count("rtc_stt_rejected_total", reason="malformed") == 1
    for told in (answer.body.decode(), str(answer.headers), caplog.text):
        assert SECRET.decode() not in told
        assert "127.0.0.1" not in told


async def test_a_line_that_is_too_long_is_told_of(service):
    line = await service.line()
    await line.send(b"GET /" + 9_000 * b"a" + b" HTTP/1.1\r\n\r\n")
    assert "too long" in (await line.answer()).json["error"]["message"]
    await line.close()


async def test_what_was_right_before_it_has_its_answer(service):
    line = await service.line()
    await line.send(b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await line.answer()).status == 200
    await line.send(b"and now for something else\r\n\r\n")
    assert (await line.answer()).status == 400
    assert await line.is_closed()
    await line.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.binary(min_size=1, max_size=200))
def test_whatever_is_sent_is_answered_in_that_form_or_not_at_all(words):
    async def attempt() -> None:
        async with serving(FakeTranscriber()) as service:
            line = await service.line()
            await line.send(words + b"\r\n\r\n")
            line.writer.write_eof()
            async with asyncio.timeout(5):
                answer = await line.reader.read()
            await line.close()
            if answer:
                head, _, body = answer.partition(b"\r\n\r\n")
                assert b"X-Req-Id: " in head
                assert b"500" not in head.split(b"\r\n")[0]
                assert not body or b'"request_id"' in body

    asyncio.run(attempt())
