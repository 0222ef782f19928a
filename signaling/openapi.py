"""``GET /openapi.json``: what the HTTP endpoints of this very server take and answer, as OpenAPI 3.1.

The form comes from the table that reads it, the schemas from the enums that fill them. WHIP, the SmallWebRTC
dialect, the WebSocket and OpenAI's Realtime are protocols of their own, and not in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from rtc_stt import __version__
from signaling.dialects.openai import recording_form as openai
from signaling.form import AUDIO, FIELDS, Field
from signaling.keys import UPLOADS
from signaling.listen_schemas import LIVE_PARAMETERS, RECORDED_PARAMETERS, recording_body
from signaling.schemas import SCHEMAS, Schema, reference_to
from signaling.session_routes import DEFAULT_SESSIONS, MAX_SESSIONS
from signaling.telephony.call_routes import DEFAULT_LIMIT, MAX_LIMIT
from signaling.telephony.streams.dialects import KINDS
from signaling.upload import Limits
from signaling.usage_routes import DEFAULT_DAYS, MAX_DAYS

__all__ = ["PATH", "add_routes", "describe"]

PATH = "/openapi.json"

FIGURES = {
    "X-Queue-Wait-ms": "Wait for a turn at the models, ms.",
    "X-Primary-Infer-ms": "In the primary's model, ms.",
    "X-Fallback-Infer-ms": "In the fallback, ms.",
    "X-Total-ms": "All of it, ms.",
    "X-Fallback-Used": "Whether the fallback had the last word on any of it.",
    "X-Final-Model": "Who had the last word.",
    "X-Conf-Below": "Whether the primary was unsure of any of it, or heard too few words.",
    "X-Lang-Check-Applicable": "Whether the language was detected, and so could be doubted.",
}
"""Headers of an answer of ``/v1/transcribe``; of an error as far as they are known."""

ERRORS = {
    400: "The request or the recording cannot be understood.",
    401: "No key, or a wrong one.",
    403: "A page of another origin, or a name that is not this server's.",
    404: "There is none, or it is somebody else's.",
    408: "The upload took too long.",
    413: "Too many bytes, or too much audio.",
    415: "A body of another type.",
    429: "Over the rate or the quota of this key; `Retry-After`.",
    500: "A mistake of the server, or its model failed and nobody could stand in.",
    502: "The fallback was wanted and failed; `X-Fallback-Error` says how.",
    503: "Full, draining, or out of order; `Retry-After`.",
}
RETRY_LATER = (429, 503)

DAYS = {
    "name": "days",
    "in": "query",
    "description": "How many, today's the last.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS},
}

SESSIONS = [
    {
        "name": "limit",
        "in": "query",
        "description": "How many, about.",
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_SESSIONS, "default": DEFAULT_SESSIONS},
    },
    {
        "name": "cursor",
        "in": "query",
        "description": "`next` of the page before.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,19}$", "default": "0"},
    },
]

DIALECT = {
    "name": "dialect",
    "in": "path",
    "required": True,
    "description": "What the carrier or PBX speaks.",
    "schema": {"enum": list(KINDS)},
}
STREAM_TOKEN = {
    "name": "token",
    "in": "path",
    "required": True,
    "description": "One of `POST /v1/tokens`, in place of a key.",
    "schema": {"type": "string"},
}

CALL_ID = {
    "name": "call_id",
    "in": "path",
    "required": True,
    "description": "As in its events.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{16}$"},
}
LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "How many are told of.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
}
MODEL = {
    "name": "model",
    "in": "path",
    "required": True,
    "description": "An `id` of the list.",
    "schema": {"type": "string", "pattern": "^[^/]+$"},
}
LAST_SEQ = {
    "name": "last_seq",
    "in": "query",
    "description": "The number of the last event that is known.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0},
}

Operation = dict[str, Any]


def _header(about: str) -> Schema:
    return {"description": about, "schema": {"type": "string"}}


def _content(schema: Schema, kind: str = "application/json") -> Schema:
    return {kind: {"schema": schema}}


TEXTS = {kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/x-subrip", "text/vtt")}
"""Forms of a transcript that are no JSON."""


def _operation(
    summary: str,
    answer: Schema,
    *errors: int,
    status: int = 200,
    key: bool = True,
    headers: Mapping[str, Schema] | None = None,
    error_headers: Mapping[str, Schema] | None = None,
    error: str = "Error",
    **more: Any,
) -> Operation:
    """One operation. Every one may find a name that is not this server's, or a mistake of ours.

    Args:
        error: how errors look, one of :data:`SCHEMAS`.
    """
    request_id = {
        "X-Request-Id": _header("Names this request in the log; as it was sent, where it was a short word."),
        "X-Req-Id": _header("The same."),
    }
    responses: dict[str, Any] = {
        str(status): {
            "description": "Done.",
            "headers": {**request_id, **(headers or {})},
            "content": answer,
        }
    }
    for code in sorted({*errors, 403, 500, *([401] if key else [])}):
        told = {**request_id, "X-Error-Type": _header("As in the body."), **(error_headers or {})}
        told["X-Error-Message"] = _header("As in the body, on one line of ASCII.")
        if code in RETRY_LATER:
            told["Retry-After"] = {"description": "s.", "schema": {"type": "integer"}}
        responses[str(code)] = {
            "description": ERRORS[code],
            "headers": told,
            "content": _content(reference_to(error)),
        }
    return {"summary": summary, "responses": responses, "security": [{"key": []}] if key else [], **more}


def _transcribe(limits: Limits) -> Operation:
    fields: dict[str, Schema] = {
        AUDIO: {
            "type": "string",
            "format": "binary",
            "description": "Any common format (WAV, FLAC, MP3, Ogg, WebM, MP4 …), "
            f"at most {limits.recording_bytes / 2**20:g} MiB.",
        }
    }
    fields |= {name: _field(field) for name, field in FIELDS.items()}
    form = {"type": "object", "properties": fields, "required": [AUDIO], "additionalProperties": False}
    transcript = {"anyOf": [reference_to("VerboseTranscript"), reference_to("Transcript")]}
    return _of_recording(
        "Transcribe a recording",
        {**_content(transcript), **TEXTS},
        _content(form, "multipart/form-data"),
    )


def _of_recording(summary: str, answer: Schema, body: Schema, **more: Any) -> Operation:
    """One that does the work: a recording in, a transcript out."""
    figures = {name: _header(about) for name, about in FIGURES.items()}
    return _operation(
        summary,
        answer,
        *(400, 408, 413, 415, 429, 502, 503),
        headers=figures,
        error_headers={**figures, "X-Fallback-Error": _header("What failed, where the fallback did.")},
        requestBody={"required": True, "content": body},
        **more,
    )


def _listen(limits: Limits) -> Operation:
    return _of_recording(
        "Transcribe a recording, as Deepgram does",
        _content(reference_to("ListenTranscript")),
        _content(recording_body(limits.recording_bytes), "application/octet-stream"),
        error="ListenError",
        parameters=RECORDED_PARAMETERS,
    )


def _transcriptions(limits: Limits) -> Operation:
    fields: dict[str, Schema] = {
        openai.RECORDING: {
            "type": "string",
            "format": "binary",
            "description": f"As of `{AUDIO}` of `/v1/transcribe`.",
        }
    }
    fields |= {name: _field(field) for name, field in openai.FIELDS.items()}
    for name, field in openai.LISTS.items():
        # In a form, one text is a list of one.
        fields[f"{name}[]"] = {
            "type": ["array", "string"],
            "description": field.about,
            "items": _field(field),
        }
    form = {
        "type": "object",
        "properties": fields,
        "required": [openai.RECORDING],
        "additionalProperties": False,
    }
    transcript = {"anyOf": [reference_to("OpenAIVerboseTranscription"), reference_to("OpenAITranscription")]}
    return _of_recording(
        "Transcribe a recording, as OpenAI does",
        {
            **_content(transcript),
            **TEXTS,
            **_content(reference_to("OpenAIEvent"), "text/event-stream"),
        },
        _content(form, "multipart/form-data"),
        error="OpenAIError",
    )


def _field(field: Field) -> Schema:
    schema: Schema = {"type": "string", "description": field.about}
    if not field.choices:
        return schema | {"maxLength": field.max_chars}
    choices = [*map(str, field.choices), ""]  # an empty field is as one that is not there
    return schema | {"enum": choices} | ({"default": str(field.default)} if field.default else {})


def _calls(json_of: Mapping[str, Schema]) -> Mapping[tuple[str, str], Operation]:
    """Of phone calls, by method and path."""
    call = "/v1/calls/{call_id}"
    return {
        ("GET", "/v1/calls"): _operation("Phone calls", json_of["Calls"], 400, 429, parameters=[LIMIT]),
        ("POST", "/v1/calls"): _operation(
            "Announce a phone call",
            json_of["Announced"],
            *(400, 413, 415, 429, 503),
            status=201,
            requestBody={"required": True, "content": json_of["Announcement"]},
        ),
        ("GET", call): _operation("A phone call", json_of["Call"], 404, 429, parameters=[CALL_ID]),
        ("DELETE", call): _operation("Hang up", {}, 404, 429, status=204, parameters=[CALL_ID]),
        ("POST", f"{call}/tokens"): _operation(
            "A token to hear a phone call", json_of["Token"], 404, 429, status=201, parameters=[CALL_ID]
        ),
        ("GET", f"{call}/events"): _operation(
            "Hear a phone call: a WebSocket",
            {},
            400,
            404,
            429,
            503,
            status=101,
            parameters=[CALL_ID, LAST_SEQ],
        ),
        **{
            ("GET", path): _operation(
                "Bring a phone call: a WebSocket; who may is told in several ways",
                {},
                *(400, 401, 404, 503),
                status=101,
                key=False,
                parameters=parameters,
            )
            for path, parameters in (
                ("/v1/media/{dialect}", [DIALECT]),
                ("/v1/media/{dialect}/{token}", [DIALECT, STREAM_TOKEN]),
            )
        },
        ("GET", "/v1/calls/events"): _operation(
            "Hear all phone calls: a WebSocket", {}, 400, 429, 503, status=101
        ),
    }


def _operations(limits: Limits | None) -> Mapping[tuple[str, str], Operation]:
    """All that any server may have, by method and path."""
    json_of = {name: _content(reference_to(name)) for name in SCHEMAS}
    prometheus = _content({"type": "string"}, "text/plain")
    transcribe = (
        {
            ("POST", "/v1/transcribe"): _transcribe(limits),
            ("POST", "/v1/listen"): _listen(limits),
            ("POST", "/v1/audio/transcriptions"): _transcriptions(limits),
        }
        if limits
        else {}
    )
    return {
        **transcribe,
        ("GET", "/v1/listen"): _operation(
            "Live audio over a WebSocket, as Deepgram does",
            {},
            400,
            429,
            503,
            status=101,
            error="ListenError",
            parameters=LIVE_PARAMETERS,
        ),
        **_calls(json_of),
        ("GET", "/v1/models"): _operation(
            "Models, as OpenAI lists them", json_of["OpenAIModels"], error="OpenAIError"
        ),
        ("GET", "/v1/models/{model}"): _operation(
            "One of them", json_of["OpenAIModel"], 404, error="OpenAIError", parameters=[MODEL]
        ),
        ("GET", "/v1/health"): _operation("Alive?", json_of["Health"], key=False),
        ("GET", "/v1/ready"): _operation("Ready for more?", json_of["Ready"], 503, key=False),
        ("GET", "/v1/metrics"): _operation("How the server is doing", json_of["Snapshot"]),
        ("GET", "/metrics"): _operation("The same and more for Prometheus", prometheus),
        ("GET", PATH): _operation("This description", _content({"type": "object"}), key=False),
        ("GET", "/v1/sessions"): _operation(
            "Which sessions there are, for operators", json_of["Sessions"], 400, 403, 429, parameters=SESSIONS
        ),
        ("GET", "/v1/usage"): _operation(
            "What this key has used", json_of["Usage"], 400, 429, 503, parameters=[DAYS]
        ),
        ("POST", "/v1/tokens"): _operation("A token for a browser", json_of["Token"], 429, status=201),
        ("GET", "/v1/ice-servers"): _operation("STUN and TURN servers", json_of["IceServers"]),
    }


def describe(app: web.Application) -> dict[str, Any]:
    """The description of what this application answers."""
    paths: dict[str, dict[str, Operation]] = {}
    known = _operations(app.get(UPLOADS))
    for route in app.router.routes():
        path = route.resource.canonical if route.resource else ""
        if operation := known.get((route.method, path)):
            paths.setdefault(path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rtc-stt",
            "version": __version__,
            "description": "Speech to text. Live audio comes by WebRTC or WebSocket; see the documentation.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def add_routes(app: web.Application) -> None:
    """Add the endpoint. What it tells is made when all others are there, at the start."""
    body = b""

    async def write(app: web.Application) -> None:
        nonlocal body
        body = json.dumps(describe(app)).encode()

    async def get(_request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app.on_startup.append(write)
    app.router.add_get(PATH, get)
