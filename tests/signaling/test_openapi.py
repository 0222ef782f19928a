"""``/openapi.json`` says what is there, and what is there says what it says."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import AsyncIterator
from typing import Any

import jsonschema_rs
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from rtc_stt.config import Recordings
from rtc_stt.errors import AudioTooLong, BadAudio, DecodeFailed
from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.hypothesis import Word
from rtc_stt.service.transcript import Dropped
from signaling.app import create_app
from signaling.form import FIELDS
from signaling.metrics import Metrics
from signaling.page import About
from signaling.settings import Access, Server, WebRtc
from signaling.snapshot import Service as Snapshot
from tests.signaling.front import FakeHost
from tests.signaling.service import FakeTranscriber, Service, segment, serving, transcript

OTHERS = ("/", "/diagnose", "/web/", "/whip", "/api/offer", "/v1/stream", "/v1/realtime")
"""The page, and protocols that have a description of their own."""

QUEUE = {"step": "normal", "queued_bytes": 0, "tiers": {"fast": {"model": "small", "waiting": 0}}}

Document = dict[str, Any]


@contextlib.asynccontextmanager
async def gateway() -> AsyncIterator[TestClient]:
    """With all that it may have."""
    metrics = Metrics()
    app = create_app(
        FakeHost(),
        Server(),
        Access(),
        WebRtc(turn_url=("turn:turn.example.org",), turn_secret="s" * 16),
        About(mode="serve", fast="tiny", accurate=None, languages=("en",)),
        metrics,
        recordings=Recordings(),
        transcriber=FakeTranscriber(),  # type: ignore[arg-type]
        service=Snapshot("serve", "", lambda: QUEUE),
    )
    client = TestClient(TestServer(app))
    await client.start_server()
    try:
        yield client
    finally:
        await client.close()


def routes_of(app: Any) -> set[tuple[str, str]]:
    """Methods and paths that ought to be described."""
    found = set()
    for route in app.router.routes():
        path = route.resource.canonical if route.resource else ""
        is_other = any(path == other or (len(other) > 1 and path.startswith(other)) for other in OTHERS)
        if not is_other and route.method not in ("OPTIONS", "HEAD"):
            found.add((route.method, path))
    return found


def described(document: Document) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def closed(schema: Any) -> Any:
    """The same, where nothing may be there that is not told of."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    if "properties" in made and schema.get("type") == "object":
        made.setdefault("additionalProperties", False)
    return made


async def check(document: Document, response: ClientResponse, path: str, method: str = "get") -> None:
    """An answer is one of those described: its status, its headers, its type and all that is in it."""
    said = document["paths"][path][method]["responses"][str(response.status)]
    for name in said["headers"]:
        if not name.startswith("X-") or name in ("X-Req-Id", "X-Error-Type", "X-Error-Message"):
            assert name in response.headers, name
    schema = said["content"][response.content_type]["schema"]
    if response.content_type != "application/json":
        return
    whole = closed({**schema, "components": document["components"]})
    jsonschema_rs.validate(whole, await response.json())


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(FakeTranscriber(), queue=lambda: QUEUE) as made:
        yield made


@pytest.fixture
async def document(service: Service) -> Document:
    told: Document = await (await service.get("/openapi.json")).json()
    return told


async def test_each_route_of_a_service_is_described_and_each_description_is_a_route(service, document):
    assert described(document) == routes_of(service.app)
    assert ("POST", "/v1/transcribe") in described(document)


async def test_each_route_of_the_gateway_too():
    async with gateway() as client:
        document = await (await client.get("/openapi.json")).json()
        assert described(document) == routes_of(client.server.app)
        assert {("POST", "/v1/tokens"), ("GET", "/v1/ice-servers")} < described(document)


async def test_every_reference_leads_somewhere_and_every_schema_is_one(document):
    text = json.dumps(document)
    for name in document["components"]["schemas"]:
        jsonschema_rs.validator_for(closed({"$ref": f"#/components/schemas/{name}"} | document))
    for reference in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


async def test_the_form_is_that_which_is_read(document):
    body = document["paths"]["/v1/transcribe"]["post"]["requestBody"]["content"]["multipart/form-data"]
    properties = body["schema"]["properties"]
    assert set(properties) == {"audio", *FIELDS}
    assert "16 MiB" in properties["audio"]["description"]


async def test_every_answer_is_as_described(service, document):
    for path in ("/v1/health", "/v1/ready", "/v1/metrics", "/metrics", "/openapi.json", "/v1/usage"):
        await check(document, await service.get(path), path)
    await check(document, await service.get("/v1/usage?days=x"), "/v1/usage")
    await service.drain(0)
    await check(document, await service.get("/v1/ready"), "/v1/ready")


RICH = transcript(
    segment("one", words=(Word("one", 100, 200, 0.9),)),
    segment("two", Decision.REDECODED, (Reason.LOW_LOGPROB, Reason.FEW_WORDS)),
    dropped=(
        Dropped(0, 10, DropReason.NO_SPEECH),
        Dropped(0, 10, DropReason.REPETITION, Decision.NO_ACCURATE_TIER),
    ),
)


@pytest.mark.parametrize("says", [RICH, transcript(), transcript(segment())])
@pytest.mark.parametrize("form", ["json", "verbose_json", "text", "srt", "vtt"])
async def test_every_transcript_is_as_described(service, document, says, form):
    service.transcriber.says = says
    for words in ("true", "false"):
        answer = await service.post(response_format=form, word_timestamps=words)
        assert answer.status == 200
        await check(document, answer, "/v1/transcribe", "post")


@pytest.mark.parametrize(
    "says",
    [
        BadAudio("no"),
        AudioTooLong("no"),
        DecodeFailed("no"),
        ZeroDivisionError(),
        transcript(segment(decision=Decision.REDECODE_FAILED, reasons=(Reason.FEW_WORDS,))),
    ],
    ids=lambda says: type(says).__name__,
)
async def test_every_error_is_as_described(service, document, says):
    service.transcriber.says = says
    await check(document, await service.post(), "/v1/transcribe", "post")


async def test_errors_before_the_transcriber_too(service, document):
    for headers, fields in (({}, {"cut": "x"}), ({"Content-Encoding": "gzip"}, {}), ({"Host": "evil"}, {})):
        answer = await service.post(headers=headers, **fields)
        assert answer.status in (400, 403, 415)
        await check(document, answer, "/v1/transcribe", "post")
    await service.drain(0)
    await check(document, await service.post(), "/v1/transcribe", "post")


async def listen(service: Service, query: str = "", **headers: str) -> ClientResponse:
    """A recording to ``/v1/listen``; the answer with its body."""
    response = await service.session.post(f"{service.url}/v1/listen{query}", data=b"RIFF", headers=headers)
    await response.read()
    return response


@pytest.mark.parametrize("says", [RICH, transcript(), transcript(segment())])
@pytest.mark.parametrize(
    "query", ["", "?utterances=true&paragraphs=true", "?detect_language=True", "?language=multi"]
)
async def test_every_transcript_for_clients_of_deepgram_is_as_described(service, document, says, query):
    service.transcriber.says = says
    answer = await listen(service, query)
    assert answer.status == 200
    await check(document, answer, "/v1/listen", "post")


async def test_their_errors_and_degraded_texts_too(service, document):
    for query, headers in (("?redact=pci", {}), ("", {"Content-Encoding": "gzip"}), ("", {"Host": "evil"})):
        answer = await listen(service, query, **headers)
        assert answer.status in (400, 403, 415)
        await check(document, answer, "/v1/listen", "post")
    service.transcriber.says = transcript(segment(decision=Decision.REDECODE_FAILED))
    await check(document, await listen(service), "/v1/listen", "post")
    service.transcriber.says = ZeroDivisionError()
    await check(document, await listen(service), "/v1/listen", "post")
    await service.drain(0)
    await check(document, await listen(service), "/v1/listen", "post")


async def test_what_only_the_gateway_has_is_as_described():
    async with gateway() as client:
        document = await (await client.get("/openapi.json")).json()
        await check(document, await client.post("/v1/tokens"), "/v1/tokens", "post")
        for path in ("/v1/ice-servers", "/v1/ready", "/v1/metrics", "/v1/usage"):
            await check(document, await client.get(path), path)


async def test_it_needs_no_key():
    async with serving(FakeTranscriber(), api_keys=("a-key-of-sixteen-chars",)) as service:
        assert (await service.get("/openapi.json")).status == 200


async def test_a_check_that_would_find_what_is_not_described(service, document):
    """Of this test's own means."""
    wrong = copy.deepcopy(document)
    del wrong["components"]["schemas"]["Health"]["properties"]["version"]
    with pytest.raises(jsonschema_rs.ValidationError):
        await check(wrong, await service.get("/v1/health"), "/v1/health")
