"""What a replica says, and what is said to it besides batches, as JSON and read again. Pure.

See :mod:`rtc_stt.replicas.payload`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtc_stt.decoding import Answer
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Word
from rtc_stt.replicas.payload import MAX_REQUESTS
from rtc_stt.replicas.reading import (
    MAX_TEXT,
    BadPayload,
    careful,
    dump_json,
    load_json,
    read_count,
    read_figure,
    read_flag,
    read_list,
    read_name,
    read_seconds,
    read_text,
    read_whole,
    typed,
)

__all__ = [
    "DRAINING",
    "MAX_TEXT_BYTES",
    "Answers",
    "GatewayAlive",
    "ReplicaAlive",
    "Reply",
    "read_forget",
    "read_gateway_alive",
    "read_message",
    "read_reply",
    "write_answers",
    "write_forget",
    "write_gateway_alive",
    "write_replica_alive",
]

MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Of a message without audio; answers to 256 requests of 30 s with the times of all their words."""

MAX_ANSWER = 16_000
"""Characters of an answer; 448 tokens are far fewer."""

MAX_WORDS = 1_000


@dataclass(frozen=True, slots=True)
class Answers:
    """What became of a batch."""

    number: int
    answers: tuple[dict[str, Any], ...]
    """Not yet read: see :meth:`read`."""
    decode_s: float
    """That it took in the replica, from its arrival there."""
    load: int
    """Calls of anyone that the replica still has. Gateways that heard of each other's once a second only
    would all choose the same one."""
    is_at_fault: bool
    """Whether failures are the replica's (it is broken, hangs, drains, or has too much to do) and not the
    requests': another one may do better."""

    def read(self, requests: Sequence[DecodeRequest]) -> list[Answer]:
        """The answers to these, in their order.

        Raises:
            BadPayload: it answers other ones.
        """
        if len(self.answers) != len(requests):
            raise BadPayload("there are more or fewer answers than requests")
        return [_read_answer(fields, request) for fields, request in zip(self.answers, requests, strict=True)]


@dataclass(frozen=True, slots=True)
class GatewayAlive:
    """A sign of life of a gateway."""

    queued_s: float
    """Audio that waits in its queue for this tier, in seconds."""


@dataclass(frozen=True, slots=True)
class ReplicaAlive:
    """A sign of life of a replica."""

    running: int
    """Calls that it decodes."""
    waiting: int
    """Calls that wait for those."""
    is_healthy: bool
    is_draining: bool


Reply = Answers | ReplicaAlive


# ── Answers ────────────────────────────────────────────────────────────

_FIGURES: Mapping[str, Callable[[Any], Any]] = {
    "text": lambda value: read_text(value, MAX_ANSWER),
    "language": read_name,
    "language_probability": read_figure,
    "avg_logprob": read_figure,
    "no_speech_prob": read_figure,
    "compression_ratio": read_figure,
    "tokens": read_count,
    "model": read_name,
    "verified": read_flag,
}
"""Fields of a hypothesis besides its request and words, and times, which the gateway takes itself."""


def write_answers(
    number: int, answers: Sequence[Answer], decode_s: float, load: int, *, is_at_fault: bool
) -> str:
    """See :class:`Answers`. The requests themselves are not sent back: who asked has them."""
    told = [_answer(answer) for answer in answers]
    told_of_it = {"at_fault": is_at_fault, "decode_s": decode_s, "load": load}
    return dump_json({"type": "answers", "number": number, **told_of_it, "answers": told})


def _answer(answer: Answer) -> dict[str, Any]:
    if isinstance(answer, DecodeFailure):
        return {"error": answer.error[:MAX_TEXT], "shed": answer.shed}
    words = [[w.word, w.start_ms, w.end_ms, w.probability] for w in answer.words]
    return {name: getattr(answer, name) for name in _FIGURES} | {"words": words}


@careful
def _read_answer(fields: Mapping[str, Any], request: DecodeRequest) -> Answer:
    if "error" in fields:
        return DecodeFailure(request, read_text(fields["error"]), read_flag(fields["shed"]))
    figures = {name: read(fields[name]) for name, read in _FIGURES.items()}
    words = tuple(_read_word(*read_list(word, 4)) for word in read_list(fields["words"], MAX_WORDS))
    return Hypothesis(request=request, words=words, **figures)


def _read_word(word: Any, start_ms: Any, end_ms: Any, probability: Any) -> Word:
    return Word(read_text(word), read_whole(start_ms), read_whole(end_ms), read_figure(probability))


# ── Signs of life, and the rest ────────────────────────────────────────────────────────────

DRAINING = dump_json({"type": "draining"})
"""A replica takes nothing more, and answers what it has."""


def write_gateway_alive(alive: GatewayAlive) -> str:
    """As JSON."""
    return dump_json({"type": "alive", "queued_s": alive.queued_s})


def write_replica_alive(alive: ReplicaAlive) -> str:
    """As JSON."""
    return dump_json({"type": "alive", **dataclasses.asdict(alive)})


def write_forget(number: int) -> str:
    """Nobody waits for the answer to this batch: leave it out, if it is not begun."""
    return dump_json({"type": "forget", "number": number})


@careful
def read_message(text: str) -> dict[str, Any]:
    """Any of the JSON messages: an object with a ``type``.

    Raises:
        BadPayload: it is none.
    """
    if len(text) > MAX_TEXT_BYTES:
        raise BadPayload("a message is too long")
    message = load_json(text)
    read_name(message["type"])
    return message


@careful
def read_gateway_alive(message: Mapping[str, Any]) -> GatewayAlive:
    """And back."""
    return GatewayAlive(read_seconds(message["queued_s"]))


@careful
def read_forget(message: Mapping[str, Any]) -> int:
    """The number of the batch."""
    return read_count(message["number"])


@careful
def read_reply(message: Mapping[str, Any]) -> Reply | None:
    """What a replica says; None for ``draining``.

    Raises:
        BadPayload: something else.
    """
    match message["type"]:
        case "draining":
            return None
        case "alive":
            return ReplicaAlive(
                read_count(message["running"]),
                read_count(message["waiting"]),
                read_flag(message["is_healthy"]),
                read_flag(message["is_draining"]),
            )
        case "answers":
            return Answers(
                read_count(message["number"]),
                tuple(typed(fields, dict) for fields in read_list(message["answers"], MAX_REQUESTS)),
                read_seconds(message["decode_s"]),
                read_count(message["load"]),
                read_flag(message["at_fault"]),
            )
    raise BadPayload("a message is of no kind that is known")
