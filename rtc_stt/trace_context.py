"""Where a piece of work stands in a trace, and how that is told in a header (W3C Trace Context, level 1)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

__all__ = ["TraceContext", "derive_span_id", "derive_trace_id", "read_traceparent"]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
"""§3.2.2: version, trace-id, parent-id, trace-flags; only a version to come may say more."""

SAMPLED = 0x01
"""§3.2.2.5.1."""

MAX_HEADER_CHARS = 256


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span, as far as others need to know it."""

    trace_id: str
    """32 digits of lower-case hexadecimal, not all zero."""
    span_id: str
    """16 digits, likewise."""
    is_sampled: bool = True
    """Whether whoever began the trace keeps it."""

    @property
    def traceparent(self) -> str:
        """As a header (§3.2)."""
        return f"00-{self.trace_id}-{self.span_id}-{SAMPLED if self.is_sampled else 0:02x}"


def read_traceparent(header: str | None) -> TraceContext | None:
    """What a header says; None where there is none, or it is not as §3.2.2 wants it: then a trace begins."""
    found = _TRACEPARENT.fullmatch(header) if header and len(header) <= MAX_HEADER_CHARS else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & SAMPLED))


def derive_trace_id(*parts: object) -> str:
    """The same for the same parts: who needs an id early and who needs it late need not meet."""
    return _digest(parts, 16)


def derive_span_id(*parts: object) -> str:
    """Likewise."""
    return _digest(parts, 8)


def _digest(parts: tuple[object, ...], size: int) -> str:
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=size).hexdigest()
    return digest if digest.strip("0") else "1" * 2 * size
