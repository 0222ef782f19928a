"""By what a request is found again: its id, a line for it, its span."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from signaling.calls import Health
from signaling.settings import Logs
from signaling.trail import read_request_id
from tests.e2e.support import until
from tests.signaling.service import FakeTranscriber, serving
from tests.sink import Sink

KEY = "a-key-of-sixteen-chars"
AUTH = {"Authorization": f"Bearer {KEY}"}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "rtc_stt.access")
    return caplog


def lines(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "rtc_stt.access"]


# ── Ids ────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", ["a", "7f3c9d", "req-1.2_3:4", "0" * 64])
def test_a_short_word_is_an_id(word: str) -> None:
    assert read_request_id(word) == word


@given(st.text())
def test_anything_else_is_none(text: str) -> None:
    found = read_request_id(text)
    assert found is None or (found == text and found.isascii() and found.isprintable() and len(found) <= 64)


@pytest.mark.parametrize("word", [None, "", " a", "a b", "-a", "a" * 65, "é", "a/b", '"a"', "a\n", "{}"])
def test_what_is_no_short_word_is_none(word: str | None) -> None:
    assert read_request_id(word) is None


async def test_it_comes_back_in_every_answer_and_in_its_error() -> None:
    async with serving(FakeTranscriber(), api_keys=(KEY,)) as service:
        given_id = {"X-Request-Id": "mine-1"}
        for response in (
            await service.get("/v1/health", **given_id),
            await service.get("/nowhere", **AUTH, **given_id),
            await service.post(headers=AUTH | given_id),
            await service.post(headers=given_id),
        ):
            assert response.headers["X-Request-Id"] == response.headers["X-Req-Id"] == "mine-1"
        assert (await response.json())["error"]["request_id"] == "mine-1"
        drawn = (await service.get("/v1/health", **{"X-Request-Id": "not a word"})).headers["X-Request-Id"]
        assert read_request_id(drawn) == drawn


# ── Lines ────────────────────────────────────────────────────────────


async def test_a_line_for_each_request(access: pytest.LogCaptureFixture) -> None:
    async with serving(FakeTranscriber(), api_keys=(KEY,)) as service:
        await service.post(headers=AUTH | {"X-Request-Id": "mine-1"}, prompt="canary")
        await until(lambda: lines(access))
    (line,) = lines(access)
    assert line.ids["request_id"] == "mine-1"
    told = dict(line.fields)
    assert told.pop("duration_ms") >= 0
    assert told.pop("bytes_in") > 100
    assert told.pop("bytes_out") > 10
    assert len(told.pop("key_id")) >= 4
    assert told == {"method": "POST", "route": "/v1/transcribe", "status": 200, "remote": None}
    assert line.getMessage().startswith("POST /v1/transcribe 200 in ")


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/canary/canary?access_token=canary", None, 404),
        ("BREW", "/v1/health", None, 400),
        ("GET", "/v1/usage?days=canary", "/v1/usage", 400),
        ("GET", "/v1/health?canary", "/v1/health", 200),
    ],
)
async def test_no_path_query_or_header_is_in_it(
    access: pytest.LogCaptureFixture, method: str, path: str, route: str | None, status: int
) -> None:
    async with serving(FakeTranscriber(), api_keys=(KEY,)) as service:
        headers = AUTH | {"User-Agent": "canary", "Referer": "canary", "X-Request-Id": "canary canary"}
        await service.session.request(method, service.url + path, headers=headers)
        await until(lambda: lines(access))
    (line,) = lines(access)
    assert (line.fields["route"], line.fields["status"]) == (route, status)
    assert line.fields["method"] == (method if method == "GET" else "other")
    assert "canary" not in repr((line.getMessage(), line.fields, line.ids))


async def test_a_wrong_key_is_nobodys(access: pytest.LogCaptureFixture) -> None:
    async with serving(FakeTranscriber(), api_keys=(KEY,)) as service:
        await service.post(headers={"Authorization": "Bearer a-canary-of-a-key"})
        await until(lambda: lines(access))
    (line,) = lines(access)
    assert (line.fields["status"], line.fields["key_id"]) == (401, None)
    assert "canary" not in repr(line.__dict__)


@pytest.mark.parametrize("addresses", [False, True])
async def test_addresses_only_where_they_are_wanted(
    access: pytest.LogCaptureFixture, addresses: bool
) -> None:
    async with serving(FakeTranscriber(), logs=Logs(addresses=addresses)) as service:
        await service.get("/v1/health")
        await until(lambda: lines(access))
    (line,) = lines(access)
    assert line.fields["remote"] == ("127.0.0.1" if addresses else None)


@pytest.mark.parametrize("transcripts", [False, True])
async def test_transcripts_only_where_they_are_wanted(
    caplog: pytest.LogCaptureFixture, transcripts: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    transcriber = FakeTranscriber()
    async with serving(transcriber, logs=Logs(transcripts=transcripts)) as service:
        answer = await service.post()
        text = (await answer.json())["text"]
    assert text
    assert (text in caplog.text) is transcripts


@pytest.mark.parametrize(("ready", "level"), [(True, "DEBUG"), (False, "INFO")])
async def test_who_looks_whether_all_is_well_is_told_of_where_it_is_not(
    access: pytest.LogCaptureFixture, ready: bool, level: str
) -> None:
    health = Health(ready=ready, sessions=0, load="normal")
    async with serving(FakeTranscriber(), health=lambda: health) as service:
        await service.get("/v1/ready")
        await until(lambda: lines(access))
    assert [line.levelname for line in lines(access)] == [level]


async def test_what_is_no_http_has_a_line_too(access: pytest.LogCaptureFixture) -> None:
    async with serving(FakeTranscriber()) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"canary\r\n\r\n")
        await reader.read()
        writer.close()
        await until(lambda: lines(access))
    (line,) = lines(access)
    assert line.fields["status"] == 400
    assert "canary" not in repr((line.getMessage(), line.fields))


async def test_a_mistake_has_the_id_of_its_request(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_request: web.Request) -> web.Response:
        raise RuntimeError("canary")

    def add(app: web.Application) -> None:
        app.router.add_get("/v1/health/fail", fail)

    async with serving(FakeTranscriber(), add_routes=add) as service:
        answer = await service.get("/v1/health/fail", **{"X-Request-Id": "mine-1"})
    assert answer.status == 500
    assert "request mine-1 failed" in caplog.text
    assert "canary" not in caplog.text.replace('raise RuntimeError("canary")', "")


# ── Spans ────────────────────────────────────────────────────────────


async def test_a_request_that_is_worked_on_has_a_span() -> None:
    sink = Sink()
    async with serving(FakeTranscriber(), sink=sink, api_keys=(KEY,)) as service:
        await service.get("/v1/health")
        await service.get("/metrics", **AUTH)
        await service.post(
            headers=AUTH | {"X-Request-Id": "mine-1", "traceparent": f"00-{TRACE}-{CALLER}-01"}
        )
        await service.post(headers={"traceparent": "nonsense"})
    first, second = sink.spans
    assert (first.name, first.is_server, first.is_error) == ("POST /v1/transcribe", True, False)
    assert (first.context.trace_id, first.parent_id) == (TRACE, CALLER)
    assert first.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/transcribe",
        "http.response.status_code": 200,
        "rtc_stt.request_id": "mine-1",
    }
    assert first.start <= first.end
    assert (second.parent_id, second.attributes["http.response.status_code"]) == (None, 401)
    assert second.context.trace_id != TRACE


async def test_who_does_not_want_a_trace_has_none() -> None:
    sink = Sink()
    async with serving(FakeTranscriber(), sink=sink) as service:
        await service.post(headers={"traceparent": f"00-{TRACE}-{CALLER}-00"})
    assert [span.context.is_sampled for span in sink.spans] == [False]


async def test_a_mistake_is_an_error_of_its_span() -> None:
    class Broken(FakeTranscriber):
        async def transcribe(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError

    sink = Sink()
    async with serving(Broken(), sink=sink) as service:
        assert (await service.post()).status == 500
    assert [span.is_error for span in sink.spans] == [True]
