"""What schemathesis sends where a recording is asked for: mostly one, else nothing would get any further."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import schemathesis
from hypothesis import strategies as st

from tests.e2e import support
from tools.services.sounds import encode
from tools.services.uploads import wav

__all__: list[str] = []

CLIP = encode(next(support.clips("digits")).audio, "flac")
RECORDINGS = (CLIP, CLIP, CLIP, wav(bytes(16_000)), wav(b""), b"", b"Dear Sir or Madam")

schemathesis.openapi.format("binary", st.sampled_from(RECORDINGS))

MAX_QUERY_CHARS = 8_000
"""A request line has 8 KiB at most, which no description can say of its parameters together."""


@schemathesis.hook
def filter_query(_context: Any, query: dict[str, Any]) -> bool:
    """Whether it fits."""
    return len(urlencode(query or {}, doseq=True)) < MAX_QUERY_CHARS
