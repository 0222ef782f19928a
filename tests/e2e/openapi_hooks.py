"""What schemathesis sends where a recording is asked for: mostly one, else nothing would get any further."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from tests.e2e import support
from tools.services.sounds import encode
from tools.services.uploads import wav

__all__: list[str] = []

CLIP = encode(next(support.clips("digits")).audio, "flac")
RECORDINGS = (CLIP, CLIP, CLIP, wav(bytes(16_000)), wav(b""), b"", b"Dear Sir or Madam")

schemathesis.openapi.format("binary", st.sampled_from(RECORDINGS))
