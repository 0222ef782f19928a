"""One tree, as its docstring draws it."""

from __future__ import annotations

import re

import pytest

from rtc_stt import errors
from rtc_stt.errors import ClientError, RtcSttError, Unavailable

ALL = [kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_and_in_its_drawing(kind):
    assert issubclass(kind, RtcSttError)
    assert re.search(rf"\b{kind.__name__}\b", errors.__doc__ or "")


@pytest.mark.parametrize(
    "kind", [k for k in ALL if issubclass(k, ClientError)], ids=lambda kind: kind.__name__
)
def test_a_client_error_suggests_its_drawn_status(kind):
    drawn = re.search(rf"\b{kind.__name__}\b.*?(\d{{3}}|4xx)", errors.__doc__ or "")
    assert drawn
    assert drawn[1] in (str(kind.status), "4xx")
    assert 400 <= kind.status < 500
    assert re.fullmatch("[a-z_]+", kind.type)


def test_the_types_tell_the_errors_apart_where_the_status_does():
    told = {(k.status, k.type) for k in ALL if issubclass(k, ClientError)}
    assert len({kind for _, kind in told}) == len(told)


def test_unavailable_says_when_to_ask_again():
    assert Unavailable("full").retry_after_s > 0
    assert Unavailable("full", retry_after_s=30).retry_after_s == 30
    assert Unavailable.status == 503


def test_a_trace_tells_the_kind_and_the_place_and_not_the_message():
    try:
        raise ValueError("what somebody said")
    except ValueError as error:
        told = errors.trace(error)
    assert told.startswith("ValueError")
    assert "test_errors.py" in told
    assert "somebody said" not in told.replace('raise ValueError("what somebody said")', "")
