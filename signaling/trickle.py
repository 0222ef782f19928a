"""Candidates that come after the offer: the fragments of WHIP (RFC 8840), and the JSON of SmallWebRTC."""

from __future__ import annotations

from collections.abc import Sequence

from rtc_stt.errors import BadRequest
from signaling.calls import Fragment
from signaling.candidates import Reach, candidate_ufrag, clean_candidates
from signaling.sdp_lines import read_sections, split_lines

__all__ = ["MAX_FRAGMENT_BYTES", "read_candidates", "read_fragment"]

MAX_FRAGMENT_BYTES = 8 * 1024
MAX_LINES = 128
MAX_VALUES = 64
"""Candidates in one message, the useless ones included."""


def read_fragment(body: str, reach: Reach) -> Fragment:
    """Read an ``application/trickle-ice-sdpfrag``.

    Attributes may stand before the first ``m=`` line, or there may be none: some clients write it so.

    Raises:
        BadRequest: it is none, or larger than any honest one.
    """
    lines = split_lines(body, what="the fragment", max_bytes=MAX_FRAGMENT_BYTES, max_lines=MAX_LINES)
    session, sections = read_sections(lines)
    parts = (session, *sections)
    values = [value for part in parts for value in part.all("candidate")]
    ufrags = {ufrag for part in parts for ufrag in part.all("ice-ufrag")}
    end = any(part.first("end-of-candidates") is not None for part in parts)
    if not (values or ufrags or end):
        raise BadRequest(
            "the fragment holds no a=candidate, a=ice-ufrag or a=end-of-candidates (RFC 8840 §9)"
        )
    return _fragment(values, ufrags, end, reach)


def read_candidates(values: Sequence[str], reach: Reach) -> Fragment:
    """Read candidates as ``RTCIceCandidate.candidate`` has them; an empty one says that no more will come.

    Raises:
        BadRequest: one of them is malformed, or there are too many.
    """
    if any(len(value) > 1024 for value in values):
        raise BadRequest("a candidate is longer than 1024 characters")
    told = [value.strip().removeprefix("a=").removeprefix("candidate:") for value in values]
    return _fragment([value for value in told if value], set(), "" in told, reach)


def _fragment(values: list[str], ufrags: set[str], end: bool, reach: Reach) -> Fragment:
    if len(values) > MAX_VALUES:
        raise BadRequest(f"more than {MAX_VALUES} candidates at once")
    ufrags = ufrags or {ufrag for value in values if (ufrag := candidate_ufrag(value))}
    if len(ufrags) > 1:
        raise BadRequest("the candidates belong to several ICE generations: send those of one transport")
    return Fragment(clean_candidates(values, reach), next(iter(ufrags), None), end)
