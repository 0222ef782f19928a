"""What is known of a replica, and the list of them as JSON. Pure vocabulary.

Who reads a list has got it over a network: what cannot be understood is refused, not guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from rtc_stt.hypothesis import Tier

__all__ = ["MAX_LIST_BYTES", "MAX_REPLICAS", "SUBPROTOCOL", "BadList", "Replica", "read_list", "write_list"]

SUBPROTOCOL = "rtc-stt-decode.1"
"""Of the WebSocket between a gateway and a replica."""

MAX_REPLICAS = 1_000
MAX_LIST_BYTES = 1024 * 1024
MAX_TEXT = 256
MAX_LANGUAGES = 200


class BadList(ValueError):
    """A list of replicas cannot be understood."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One engine that may be asked."""

    id: str
    """Never given to another one."""
    tier: Tier
    url: str
    """Of its WebSocket, ``ws://10.0.0.7:40123/decode``."""
    model: str
    languages: frozenset[str]
    calls: int
    """That it decodes at a time."""
    max_batch: int
    """Requests in one of them."""
    version: str
    """Of the software, for the operator."""
    draining: bool = False
    """It answers what it has, and takes nothing new."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise BadList("a replica's URL is no ws:// or wss:// URL")
        texts = (self.id, self.url, self.model, self.version, *self.languages)
        if not self.id or any(len(text) > MAX_TEXT for text in texts) or len(self.languages) > MAX_LANGUAGES:
            raise BadList("a replica tells too much, or has no id")
        if not (1 <= self.calls <= 256 and 1 <= self.max_batch <= 256):
            raise BadList("a replica's calls or batches are out of bounds")


def write_list(replicas: Iterable[Replica]) -> str:
    """As ``GET /replicas`` answers."""
    told = [asdict(replica) | {"languages": sorted(replica.languages)} for replica in replicas]
    return json.dumps({"replicas": told})


def read_list(text: str | bytes) -> list[Replica]:
    """And back.

    Raises:
        BadList: it is too long, or is no such list.
    """
    if len(text) > MAX_LIST_BYTES:
        raise BadList("the list of replicas is too long")
    try:
        entries = json.loads(text)["replicas"]
        if not isinstance(entries, list) or len(entries) > MAX_REPLICAS:
            raise BadList("the list of replicas is none, or too long")
        return [_read(entry) for entry in entries]
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise BadList(f"the list of replicas cannot be understood: {error}") from None


def _read(entry: dict[str, object]) -> Replica:
    texts = [entry[name] for name in ("id", "tier", "url", "model", "version")]
    counts = [entry["calls"], entry["max_batch"]]
    languages, draining = entry["languages"], entry["draining"]
    if not all(isinstance(text, str) for text in texts) or not all(type(count) is int for count in counts):
        raise BadList("a field is of the wrong type")
    if not isinstance(languages, list) or not all(isinstance(code, str) for code in languages):
        raise BadList("languages are no list of codes")
    if not isinstance(draining, bool):
        raise BadList("draining is neither true nor false")
    id_, tier, url, model, version = (str(text) for text in texts)
    calls, max_batch = (int(str(count)) for count in counts)
    return Replica(id_, Tier(tier), url, model, frozenset(languages), calls, max_batch, version, draining)
