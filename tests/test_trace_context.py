"""The header of a trace, from wherever it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.trace_context import TraceContext, derive_span_id, derive_trace_id, read_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_the_example_of_the_specification() -> None:
    assert read_traceparent(f"00-{TRACE}-{SPAN}-01") == TraceContext(TRACE, SPAN, True)
    assert read_traceparent(f"00-{TRACE}-{SPAN}-00") == TraceContext(TRACE, SPAN, False)


def test_a_version_to_come_may_say_more() -> None:
    assert read_traceparent(f"01-{TRACE}-{SPAN}-03-more") == TraceContext(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        TRACE,
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 1_000,
    ],
)
def test_what_is_none_is_taken_for_none(header: str | None) -> None:
    assert read_traceparent(header) is None


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", fullmatch=True))
def test_what_is_read_can_be_told_again(header: str) -> None:
    found = read_traceparent(header)
    if found:
        assert read_traceparent(found.traceparent) == found


@given(st.lists(st.text() | st.integers(), min_size=1))
def test_ids_are_the_same_for_the_same_and_valid(parts: list[str | int]) -> None:
    context = TraceContext(derive_trace_id(*parts), derive_span_id(*parts))
    assert context == TraceContext(derive_trace_id(*parts), derive_span_id(*parts))
    assert read_traceparent(context.traceparent) == context


def test_ids_of_different_parts_differ() -> None:
    assert derive_span_id("ab", "c") != derive_span_id("a", "bc")
