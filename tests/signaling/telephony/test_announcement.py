"""The body of ``POST /v1/calls``."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import BadRequest
from signaling.telephony.announcement import read_announcement

UUID = "0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0"


def test_all_that_may_be_said():
    told = read_announcement(
        json.dumps(
            {
                "source": "audiosocket",
                "uuid": UUID,
                "external_id": "1.2",
                "caller": "+1\n",
                "callee": "200",
                "parameters": {"a": "b"},
                "options": {"language": "en"},
            }
        )
    )
    assert told.uuid == UUID
    details = told.details("key", "127.0.0.1")
    assert (details.source, details.external_id, details.caller, details.callee) == (
        "audiosocket",
        "1.2",
        "+1",
        "200",
    )
    assert (details.owner, details.address) == ("key", "127.0.0.1")
    assert (details.parameters, details.options) == ({"a": "b"}, {"language": "en"})


def test_as_little_as_may_be_said():
    told = read_announcement('{"source": "audiosocket"}')
    assert (told.uuid, told.texts, told.parameters, told.options) == ("", {}, {}, {})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", "not JSON"),
        ("[" * 5_000, "not JSON"),
        ("[]", "object"),
        ("{}", "source"),
        ('{"source": ["audiosocket"]}', "source"),
        ('{"source": "sip"}', "source"),
        ('{"source": "audiosocket", "uuid": null}', "uuid"),
        ('{"source": "audiosocket", "uuid": ""}', "uuid"),
        (json.dumps({"source": "audiosocket", "uuid": f"urn:uuid:{UUID}"}), "uuid"),
        ('{"source": "audiosocket", "more": 1}', "'more'"),
        ('{"source": "audiosocket", "caller": 1}', "caller"),
        (json.dumps({"source": "audiosocket", "caller": "x" * 257}), "caller"),
        ('{"source": "audiosocket", "options": []}', "options"),
        ('{"source": "audiosocket", "parameters": []}', "parameters"),
        ('{"source": "audiosocket", "parameters": {"a": 1}}', "parameter"),
        (json.dumps({"source": "audiosocket", "parameters": {"x" * 65: ""}}), "name"),
        (json.dumps({"source": "audiosocket", "parameters": {str(n): "" for n in range(33)}}), "32"),
    ],
)
def test_what_is_wrong_is_told(body, words):
    with pytest.raises(BadRequest, match=words):
        read_announcement(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    st.text()
    | st.fixed_dictionaries(
        {"source": st.just("audiosocket")},
        optional=dict.fromkeys(("uuid", "caller", "parameters", "options", "x"), JSON),
    ).map(json.dumps)
)
def test_whatever_comes_is_understood_or_refused(text):
    try:
        details = read_announcement(text).details("key", "")
    except BadRequest as error:
        str(error).encode()
        return
    details.caller.encode()
    json.dumps(dict(details.parameters), ensure_ascii=False).encode()
