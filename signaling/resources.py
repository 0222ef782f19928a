"""What the door remembers of each connection that it answered: whose it is, and what may still be done to it.

Pure. A connection is known for some minutes after its session is over, so that DELETE stays idempotent
(RFC 9110 §9.2.2).
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass, field

from rtc_stt.errors import TooMany
from rtc_stt.token_bucket import TokenBucket
from signaling.auth import OPEN, Pass
from signaling.candidates import MAX_CANDIDATES
from signaling.sanitiser import Offer

__all__ = ["Resource", "Resources"]

REMEMBER_S = 300.0
"""How long an ended session is known."""

MAX_PER_SESSION = 8
"""Connections of one session, the latest: who comes back that often has no use for the first."""

PATCHES_PER_S = 5.0
PATCH_BURST = 20
"""Browsers find all their candidates in a second or two, and clients gather them into a few messages."""


@dataclass(slots=True)
class Resource:
    """One answered offer."""

    peer_id: str
    session_id: str
    ufrag: str
    """The client's ICE generation."""
    key_id: str
    nonce: bytes | None
    """Of the token that began the session."""
    resume_digest: bytes | None = None
    """Of the resume token that it came with."""
    candidates: int = 0
    """How many have come, with the offer or after."""
    patches: TokenBucket = field(default_factory=lambda: TokenBucket(PATCHES_PER_S, PATCH_BURST))

    @property
    def etag(self) -> str:
        """Names the ICE session (RFC 9725 §4.3.1); there is only the first."""
        return '"' + hashlib.sha256(self.peer_id.encode()).hexdigest()[:16] + '"'

    def belongs_to(self, shown: Pass) -> bool:
        """Whether that is who made it: with the same key, or with the very token."""
        if shown.token is not None:
            return self.nonce is not None and hmac.compare_digest(self.nonce, shown.token.nonce)
        return shown.key_id in (self.key_id, OPEN)

    def resumed_with(self, token: str) -> bool:
        """Whether it came about by this resume token."""
        return self.resume_digest is not None and hmac.compare_digest(self.resume_digest, _digest(token))

    def take(self, candidates: tuple[str, ...], now: float) -> tuple[str, ...]:
        """Those for which there is room; the others are left out without a word (RFC 9725 §4.3.2).

        Raises:
            TooMany: messages come too fast.
        """
        if not self.patches.take(now):
            raise TooMany("candidates come too fast: send several in one message", retry_after_s=1)
        room = candidates[: MAX_CANDIDATES - self.candidates]
        self.candidates += len(room)
        return room


class Resources:
    """All of them. ``now`` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._by_peer: dict[str, Resource] = {}
        self._by_session: dict[str, list[Resource]] = {}
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._inherited: dict[str, tuple[str, bytes | None]] = {}

    def __len__(self) -> int:
        return len(self._by_peer)

    def add(
        self,
        peer_id: str,
        session_id: str,
        offer: Offer | None,
        shown: Pass,
        resume_token: str | None = None,
    ) -> Resource:
        """A new connection; a WebSocket has no offer. One that resumes belongs to whom the session does."""
        earlier = self._by_session.setdefault(session_id, [])
        key_id, nonce = shown.key_id, shown.token.nonce if shown.token else None
        if earlier:
            key_id, nonce = earlier[0].key_id, earlier[0].nonce
        elif session_id in self._inherited:
            key_id, nonce = self._inherited[session_id]
        resource = Resource(
            peer_id,
            session_id,
            offer.ufrag if offer else "",
            key_id,
            nonce,
            _digest(resume_token) if resume_token else None,
            offer.candidates if offer else 0,
        )
        earlier.append(resource)
        self._by_peer[peer_id] = resource
        if len(earlier) > MAX_PER_SESSION:
            del self._by_peer[earlier.pop(0).peer_id]
        return resource

    def inherit(self, session_id: str, key_id: str, nonce: bytes | None) -> None:
        """A session of another gateway goes on here: so it belongs to whom it did."""
        self._inherited[session_id] = key_id, nonce

    def nonce_of(self, session_id: str) -> bytes | None:
        """Of the token that began a session."""
        if session_id in self._inherited:
            return self._inherited[session_id][1]
        latest = self.latest(session_id)
        return latest.nonce if latest else None

    def get(self, peer_id: str) -> Resource | None:
        """A connection, or one that was, not long ago."""
        return self._by_peer.get(peer_id)

    def latest(self, session_id: str) -> Resource | None:
        """The connection that a session has, or had last."""
        found = self._by_session.get(session_id)
        return found[-1] if found else None

    def end(self, session_id: str, now: float) -> None:
        """A session is over."""
        self._inherited.pop(session_id, None)
        self._ended[session_id] = now
        self._ended.move_to_end(session_id)
        while self._ended:
            oldest, at = next(iter(self._ended.items()))
            if now - at < REMEMBER_S:
                break
            del self._ended[oldest]
            for resource in self._by_session.pop(oldest, ()):
                del self._by_peer[resource.peer_id]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
