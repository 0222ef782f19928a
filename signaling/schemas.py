"""The answers of the HTTP endpoints as JSON Schema (draft 2020-12, as OpenAPI 3.1 has it). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtc_stt.events import Decision, DropReason, Reason
from rtc_stt.hypothesis import Tier
from rtc_stt.load import Step
from signaling.telephony.announcement import SOURCES as ANNOUNCED
from signaling.telephony.announcement import UUID
from signaling.telephony.call_source import MAX_NAME_CHARS, MAX_PARAMETERS, MAX_TEXT_CHARS

__all__ = ["SCHEMAS", "Schema", "reference_to"]

Schema = dict[str, Any]


def reference_to(name: str) -> Schema:
    """One of :data:`SCHEMAS`, where it is used."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(about: str, optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": about, "properties": properties, "required": required}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(values: Schema, about: str) -> Schema:
    return {"type": "object", "description": about, "additionalProperties": values}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _text(about: str = "", **more: Any) -> Schema:
    return {"type": "string", **({"description": about} if about else {}), **more}


def _one_of(values: Any, about: str = "") -> Schema:
    return _text(about, enum=[str(value) for value in values])


TEXT = _text()
BOOLEAN: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
MS: Schema = {"type": "integer", "minimum": 0, "description": "ms"}
NUMBER: Schema = {"type": "number"}
PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}
STEP = _one_of([step.name.lower() for step in Step], "What is left out under load.")

_TRANSCRIPT: dict[str, Schema] = {
    "text": _text("All of it, NFC."),
    "language": _or_null(_text("In which most was said; null where nothing was.")),
    "duration_ms": MS,
    "model": _text("Who had the last word; several joined by `+`."),
    "degraded": {
        **BOOLEAN,
        "description": "Whether the fallback was wanted and failed, so that the primary's text stands.",
    },
    "request_id": _text("As in `X-Req-Id`."),
}

SECONDS: Schema = {"type": "number", "minimum": 0, "description": "s"}
_SPOKEN: dict[str, Schema] = {"start": SECONDS, "end": SECONDS}

_HEARD: dict[str, Schema] = {
    "usage": _object("How much audio it is.", type={"const": "duration"}, seconds=SECONDS),
    "degraded": _TRANSCRIPT["degraded"],
}

SCHEMAS: Mapping[str, Schema] = {
    "Error": _object(
        "Every error.",
        error=_object(
            "What is wrong, and what to do.",
            type=_text("For programs."),
            message=_text("For people."),
            request_id=_text("As in `X-Req-Id`."),
        ),
    ),
    "Transcript": _object("`response_format=json`.", **_TRANSCRIPT),
    "VerboseTranscript": _object(
        "`response_format=verbose_json`.",
        **_TRANSCRIPT,
        segments=_list(reference_to("Segment")),
        dropped=_list(
            _object(
                "A stretch without a text.",
                start_ms=MS,
                end_ms=MS,
                reason=_one_of(DropReason),
                decision=_or_null(_one_of(Decision)),
            )
        ),
        spent=_object(
            "Where the time went, added up over all segments.",
            queue_ms=MS,
            primary_infer_ms=MS,
            fallback_infer_ms=MS,
        ),
    ),
    "Segment": _object(
        "One stretch of speech, decoded on its own.",
        ("words",),
        id=COUNT,
        start_ms=MS,
        end_ms=MS,
        text=TEXT,
        language=TEXT,
        language_probability=PROBABILITY,
        confidence={**PROBABILITY, "description": "exp(avg_logprob)"},
        avg_logprob={**NUMBER, "maximum": 0},
        no_speech_prob=PROBABILITY,
        compression_ratio={**NUMBER, "minimum": 0},
        model=TEXT,
        tier=_one_of(Tier),
        route=_object(
            "How it came about.",
            decision=_one_of(Decision),
            reasons=_list(_one_of(Reason)),
            fast=_or_null(_object("What the fast tier said.", text=TEXT, confidence=PROBABILITY)),
        ),
        words=_list(_object("Where asked for.", word=TEXT, start_ms=MS, end_ms=MS, probability=PROBABILITY)),
    ),
    "Health": _object("Alive.", ok={"const": True}, version=TEXT),
    "Ready": _object(
        "Ready for more.",
        ("requests", "degraded", "shared"),
        ok={"const": True},
        sessions={**COUNT, "description": "Live sessions."},
        requests={**COUNT, "description": "Recordings that are being worked on."},
        load=STEP,
        degraded={**_list(TEXT), "description": "What is wrong with the engines, in words."},
        shared={
            **_one_of(("up", "degraded")),
            "description": "Whether Redis answers, where servers share limits; it is ready either way.",
        },
    ),
    "Snapshot": _object(
        "How the server is doing.",
        version=TEXT,
        commit=_or_null(_text("`SERVER_COMMIT`.")),
        name=_one_of(("primary", "fallback", "serve", "demo")),
        uptime_s={**NUMBER, "minimum": 0},
        in_flight={**COUNT, "description": "Recordings that are being worked on."},
        load=STEP,
        queue=_object(
            "The decode pool.",
            step=STEP,
            queued_bytes=COUNT,
            tiers=_map(
                {"type": "object"}, "By tier: its model, what waits, what runs, and whether it is well."
            ),
        ),
        requests=_object(
            "Requests to transcribe since the start.",
            total=COUNT,
            by_endpoint=_map(COUNT, "By endpoint."),
            by_status=_map(COUNT, "`2xx`, `4xx`, `5xx`."),
            exceptions=_map(COUNT, "Errors by type."),
            fallback=_object(
                "Recordings by what became of the second opinion.", used=COUNT, skipped=COUNT, failed=COUNT
            ),
        ),
        latency_ms=_map(
            _object(
                "Over the last requests.",
                count=COUNT,
                p50=_or_null(NUMBER),
                p95=_or_null(NUMBER),
                p99=_or_null(NUMBER),
            ),
            "By stage: `total`, `queue_wait`, `primary_infer`, `fallback_infer`.",
        ),
        gpus=_list(
            _object(
                "One GPU.",
                index=COUNT,
                mem_used_mb=NUMBER,
                mem_total_mb=NUMBER,
                utilization_pct=_or_null(NUMBER),
            )
        ),
    ),
    "Usage": _object(
        "What a key has used.",
        key=_text("Its name, not the key."),
        daily_audio_seconds={**_or_null(NUMBER), "description": "Its quota; null: none."},
        days=_list(
            _object(
                "A day of UTC.",
                date=_text(format="date"),
                audio_seconds={**NUMBER, "minimum": 0},
                requests=COUNT,
                sessions=COUNT,
            )
        ),
    ),
    "Sessions": _object(
        "Live sessions.",
        sessions=_list(
            _object(
                "A live session.",
                id=TEXT,
                node=_text("The gateway that has it; empty where it has no name."),
                key=_text("The name of the key's account."),
                transport=_text("`webrtc`, `websocket`, `sip` …"),
                state=_one_of(("connected", "waiting")),
                age_s={**NUMBER, "minimum": 0},
                audio_seconds={**NUMBER, "minimum": 0},
            )
        ),
        scope=_one_of(("all", "node")),
        next=_or_null(_text("The `cursor` of the next page.")),
    ),
    "Token": _object("For a browser.", token=TEXT, expires_in={**COUNT, "description": "s, to be used in."}),
    "Call": _object(
        "A phone call.",
        id=TEXT,
        state=_one_of(("active", "ended")),
        source=_text("What carries it: `sip`, `audiosocket`, `twilio` …"),
        external_id=_text("What the other side calls it."),
        caller=TEXT,
        callee=TEXT,
        parameters=_map(TEXT, "What else was told of it."),
        started_at={**NUMBER, "description": "Seconds of Unix time."},
        duration_ms=MS,
        legs=_list(
            _object(
                "A party that is heard by itself.",
                leg=_text("`caller`, `agent`, or as the other side calls it."),
                audio_ms={**MS, "description": "What it has had on the clock of the call, ms."},
                held=BOOLEAN,
                ended=BOOLEAN,
            )
        ),
    ),
    "Calls": _object(
        "Those of a key that are going on, the newest first.",
        calls=_list(reference_to("Call")),
        total={**COUNT, "description": "Also those beyond `limit`."},
    ),
    "Announcement": {
        **_object(
            "A call that is to come.",
            ("uuid", "external_id", "caller", "callee", "parameters", "options"),
            source=_one_of(ANNOUNCED, "What will carry it."),
            uuid=_text("What it will show; one is made where there is none.", pattern=f"^{UUID}$"),
            external_id=_text("What you call it.", maxLength=MAX_TEXT_CHARS),
            caller=_text(maxLength=MAX_TEXT_CHARS),
            callee=_text(maxLength=MAX_TEXT_CHARS),
            parameters={
                **_map(_text(maxLength=MAX_TEXT_CHARS), "Told with its events."),
                "maxProperties": MAX_PARAMETERS,
                "propertyNames": {"maxLength": MAX_NAME_CHARS},
            },
            options=_object("Of recognition, for all legs: as in a `configure`."),
        ),
        "additionalProperties": False,
    },
    "Announced": _object(
        "What is known of it now.",
        call_id=TEXT,
        uuid=TEXT,
        events_url=_text("A WebSocket that hears it, on this server."),
        expires_in={**COUNT, "description": "s, to begin in."},
    ),
    "IceServers": _object(
        "For `new RTCPeerConnection({iceServers})`.",
        iceServers=_list(
            _object(
                "As RTCIceServer.",
                ("username", "credential"),
                urls={"anyOf": [TEXT, _list(TEXT)]},
                username=TEXT,
                credential=TEXT,
            )
        ),
        ttl_s=COUNT,
    ),
    "ListenError": _object(
        "Every error of `/v1/listen`.",
        err_code=_text("For programs."),
        err_msg=_text("For people."),
        request_id=_text("As in `X-Req-Id`."),
    ),
    "ListenWord": _object(
        "A word, as spoken and as written.",
        word=TEXT,
        punctuated_word=TEXT,
        confidence=PROBABILITY,
        **_SPOKEN,
    ),
    "ListenTranscript": _object(
        "A recording, as Deepgram tells it.",
        metadata=_object(
            "What was done.",
            ("warnings",),
            transaction_key={"const": "deprecated"},
            request_id=_text("As in `X-Req-Id`."),
            sha256=_text("Of the recording, in hex."),
            created=_text(format="date-time"),
            duration=SECONDS,
            channels={**COUNT, "description": "1: they are mixed."},
            models=_list(_text("Names a model in `model_info`.")),
            model_info=_map(_object("A model.", name=TEXT, version=TEXT, arch=TEXT), "By its id."),
            warnings=_list(_object("What is not as asked.", parameter=TEXT, type=TEXT, message=TEXT)),
        ),
        results=_object(
            "What was heard.",
            ("utterances",),
            channels=_list(
                _object(
                    "The one that there is.",
                    ("detected_language",),
                    alternatives=_list(reference_to("ListenAlternative")),
                    detected_language=_text("With `detect_language=true`."),
                )
            ),
            utterances=_list(
                _object(
                    "A stretch of speech; with `utterances=true`.",
                    **_SPOKEN,
                    confidence=PROBABILITY,
                    channel=COUNT,
                    transcript=TEXT,
                    words=_list(reference_to("ListenWord")),
                    id=TEXT,
                )
            ),
        ),
    ),
    "ListenAlternative": _object(
        "The one that there is.",
        ("languages", "paragraphs"),
        transcript=_text("All of it, NFC."),
        confidence=PROBABILITY,
        words=_list(reference_to("ListenWord")),
        languages=_list(_text("With `language=multi`.")),
        paragraphs=_object(
            "With `paragraphs=true`.",
            transcript=TEXT,
            paragraphs=_list(
                _object(
                    "A stretch of speech.",
                    sentences=_list(_object("One of its sentences.", text=TEXT, **_SPOKEN)),
                    num_words=COUNT,
                    **_SPOKEN,
                )
            ),
        ),
    ),
    "OpenAIError": _object(
        "Every error of `/v1/audio/transcriptions` and `/v1/models`.",
        error=_object(
            "What is wrong, and what to do.",
            message=_text("For people."),
            type=_text("OpenAI's kind of error."),
            param=_or_null(_text("Which field it is about.")),
            code=_text("For programs: the `type` of other errors here."),
            request_id=_text("As in `X-Req-Id`."),
        ),
    ),
    "OpenAIModel": _object(
        "A model, as OpenAI tells it.",
        id=_text("Its name."),
        object={"const": "model"},
        created={**COUNT, "description": "Since when it is served, in seconds of Unix time."},
        owned_by=TEXT,
    ),
    "OpenAIModels": _object(
        "All of them.", object={"const": "list"}, data=_list(reference_to("OpenAIModel"))
    ),
    "OpenAIEvent": _object(
        "A server-sent event of a stream.",
        event={"enum": ["message", "error"]},
        data=_text("JSON: `transcript.text.delta`, `transcript.text.done`, or an error."),
    ),
    "OpenAITranscription": _object(
        "A recording, as OpenAI tells it.",
        ("logprobs",),
        text=_text("All of it, NFC."),
        logprobs=_list(
            _object(
                "Of a word.", token=_text("The word."), bytes=_list(COUNT), logprob={**NUMBER, "maximum": 0}
            )
        ),
        **_HEARD,
    ),
    "OpenAIVerboseTranscription": _object(
        "Likewise, with more of it.",
        ("segments", "words"),
        task={"const": "transcribe"},
        language=_text("Its English name; empty where nothing was said and none was asked for."),
        duration=SECONDS,
        text=_text("All of it, NFC."),
        segments=_list(
            _object(
                "A stretch of speech.",
                id=COUNT,
                seek=COUNT,
                start=SECONDS,
                end=SECONDS,
                text=TEXT,
                tokens=_list(COUNT),
                temperature=NUMBER,
                avg_logprob={**NUMBER, "maximum": 0},
                compression_ratio=NUMBER,
                no_speech_prob=PROBABILITY,
            )
        ),
        words=_list(_object("With `timestamp_granularities[]=word`.", word=TEXT, start=SECONDS, end=SECONDS)),
        **_HEARD,
    ),
}
"""By name. Answers may have more fields one day."""
