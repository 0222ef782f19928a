"""Keys that are told by INFO: ``application/dtmf-relay``, ``application/dtmf``. Pure.

No RFC has them; the form is that which Cisco made and everyone has: lines ``Signal=`` and ``Duration=``
(milliseconds), or nothing but the key.
"""

from __future__ import annotations

import re

from rtc_stt.errors import BadRequest
from signaling.telephony.call_source import DIGITS

__all__ = ["DTMF_TYPES", "read_digit"]

DTMF_TYPES = frozenset({"application/dtmf-relay", "application/dtmf"})

MAX_DURATION_MS = 60_000
SIGNAL = re.compile(r"^\s*signal\s*=\s*(\S{1,2})\s*$", re.IGNORECASE | re.MULTILINE)
DURATION = re.compile(r"^\s*duration\s*=\s*([0-9]{1,6})\s*$", re.IGNORECASE | re.MULTILINE)
NUMBERS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Some write the number of the event (RFC 4733 §3.2)."""


def read_digit(body: bytes) -> tuple[str, int | None]:
    """The key, and for how long it was pressed, in ms; None where that is not told.

    Raises:
        BadRequest: there is none.
    """
    text = body[:256].decode("ascii", "replace")
    signal = SIGNAL.search(text)
    key = (signal[1] if signal else text.strip()).upper()
    key = NUMBERS.get(key, key)
    if key not in DIGITS:
        raise BadRequest("a key cannot be read")
    duration = DURATION.search(text)
    return key, min(int(duration[1]), MAX_DURATION_MS) if duration else None
