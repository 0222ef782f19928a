"""The wish to go on with a session, as clients put it: in headers, in a body, in a first message. Pure."""

from __future__ import annotations

import re

from rtc_stt.errors import BadRequest
from signaling.calls import Resume

__all__ = ["read_resume"]

RESUME_TOKEN = re.compile(r"[!-~]{1,256}")
MAX_SEQ = 2**53


def read_resume(token: object, last_seq: object) -> Resume | None:
    """Read a resume token and the last number seen (0 where there is none).

    Raises:
        BadRequest: malformed.
    """
    if token is None:
        return None
    text = str(last_seq if last_seq is not None else 0)
    if not isinstance(token, str) or not RESUME_TOKEN.fullmatch(token):
        raise BadRequest("the resume token is malformed: send it as session.started told it")
    if not (text.isascii() and text.isdigit() and len(text) <= 16) or int(text) > MAX_SEQ:
        raise BadRequest("resume from the seq of the last event that was seen, a number from 0")
    return Resume(token, int(text))
