"""How errors look to clients of Deepgram."""

from __future__ import annotations

import pytest

from signaling.dialects.deepgram.errors import close_words, error_body


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "Bad Request"),
        (401, "INVALID_AUTH"),
        (413, "Request Entity Too Large"),
        (429, "TOO_MANY_REQUESTS"),
        (499, "client_gone"),
        (503, "Service Unavailable"),
    ],
)
def test_bodies(status, code):
    told = error_body(status, "client_gone", "what to do", "f00")
    assert told == {"err_code": code, "err_msg": "what to do", "request_id": "f00"}


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stopped", (1000, "")),
        ("closed", (1000, "")),
        ("abuse", (1008, "DATA-0000")),
        ("connection_lost", (1011, "NET-0001")),
        ("server_error", (1011, "NET-0000")),
        ("drained", (1001, "drained")),
        ("unavailable", (1013, "unavailable")),
        ("quota_exceeded", (4429, "quota_exceeded")),
    ],
)
def test_closes(reason, told):
    assert close_words(reason) == told
