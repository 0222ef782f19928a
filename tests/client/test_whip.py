"""What the client reads from HTTP answers, however odd they are."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rtc_stt.client.reconnect import Answer
from rtc_stt.client.whip import MAX_BODY, Accepted, Whip


@pytest.fixture
async def whip() -> AsyncIterator[Whip]:
    made = Whip("secret")
    yield made
    await made.close()


async def ask(whip: Whip, response: web.Response) -> tuple[Answer, Accepted | None]:
    async def answer(_request: web.Request) -> web.Response:
        return response

    app = web.Application()
    app.router.add_post("/base/whip", answer)
    async with TestServer(app) as server:
        return await whip.post(str(server.make_url("/base/whip")), "v=0", None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("", None), ("-1", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
async def test_when_to_ask_again_is_read_if_it_is_a_number(whip, header, seconds):
    answer, accepted = await ask(whip, web.Response(status=503, headers={"Retry-After": header}))
    assert (answer.status, answer.retry_after_s, accepted) == (503, seconds, None)


@pytest.mark.parametrize("body", ["", "nonsense", "[]", '{"error":7}', '{"error":{}}', "9" * 5_000])
async def test_an_error_that_cannot_be_read_has_no_message(whip, body):
    answer, _ = await ask(whip, web.Response(status=400, text=body))
    assert answer.message == ""


async def test_a_message_is_read_and_cut_short(whip):
    answer, _ = await ask(whip, web.json_response({"error": {"message": "x" * 1_000}}, status=400))
    assert answer.message == "x" * 300


async def test_an_endless_answer_is_not_kept(whip):
    _, accepted = await ask(whip, web.Response(status=201, text="x" * (3 * MAX_BODY)))
    assert accepted
    assert len(accepted.sdp) == MAX_BODY


@pytest.mark.parametrize(
    ("location", "path"), [("/whip/1", "/whip/1"), ("1", "/base/1"), ("http://b.example/w", "/w")]
)
async def test_the_resource_is_where_the_location_leads(whip, location, path):
    _, accepted = await ask(whip, web.Response(status=201, headers={"Location": location}))
    assert accepted
    assert accepted.resource.endswith(path)


async def test_a_server_that_is_gone_does_not_hinder_the_end(whip, caplog):
    caplog.set_level("INFO", "rtc_stt.client")
    await whip.delete("http://127.0.0.1:9/whip/1")
    assert "could not be deleted" in caplog.text
