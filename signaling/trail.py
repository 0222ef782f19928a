"""By what a request is found again: its id, its place in a trace, and its span."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass

from aiohttp import web

from rtc_stt.spans import Span, SpanSink
from rtc_stt.trace_context import TraceContext, read_traceparent

__all__ = ["SINK", "Trail", "begin_trail", "method_of", "read_request_id", "route_of"]

SINK: web.AppKey[SpanSink] = web.AppKey("sink", SpanSink)
"""Where spans of requests go; not there where nobody wants any."""

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
"""What is taken for a request's id: it comes back in a header, and stands in the log."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Trail:
    """See above."""

    request_id: str
    sink: SpanSink | None
    parent: TraceContext | None
    """What the client said."""
    span: TraceContext | None
    """Of this request; None where none is made."""
    began: float

    @property
    def ids(self) -> dict[str, str]:
        """What is bound while it is worked on, see :func:`rtc_stt.logs.bind`. Where no span is made of it, it
        is not in the trace, and what is done for it goes on from where its client is."""
        at = self.span or self.parent
        ids = {"request_id": self.request_id}
        if at:
            ids |= {"trace_id": at.trace_id, "traceparent": at.traceparent}
        if self.span:
            ids |= {"span_id": self.span.span_id}
        return ids

    def finish(self, request: web.Request, status: int | None) -> None:
        """It is answered: its span goes out. ``status``: None where the answer was never made."""
        if self.span is None or self.sink is None:
            return
        route = route_of(request)
        attributes: dict[str, str | bool | int | float] = {
            "http.request.method": method_of(request),
            "rtc_stt.request_id": self.request_id,
        }
        if route:
            attributes["http.route"] = route
        if status:
            attributes["http.response.status_code"] = status
        name = f"{method_of(request)} {route}".rstrip()
        parent_id = self.parent.span_id if self.parent else None
        is_error = status is None or status >= 500
        now = time.monotonic()
        self.sink.export(
            [
                Span(
                    name,
                    self.span,
                    parent_id,
                    self.began,
                    now,
                    attributes,
                    is_server=True,
                    is_error=is_error,
                )
            ]
        )


def begin_trail(request: web.Request, *, is_traced: bool) -> Trail:
    """Of a request that has just come.

    Args:
        is_traced: whether it gets a span, where there are any.
    """
    parent = read_traceparent(request.headers.get("traceparent"))
    sink = request.app.get(SINK) if is_traced else None
    span = None
    if sink:
        trace_id = parent.trace_id if parent else secrets.token_hex(16)
        is_sampled = parent.is_sampled if parent else sink.is_sampled(trace_id)
        span = TraceContext(trace_id, secrets.token_hex(8), is_sampled)
    request_id = read_request_id(request.headers.get("X-Request-Id")) or secrets.token_hex(8)
    return Trail(request_id, sink, parent, span, time.monotonic())


def read_request_id(header: str | None) -> str | None:
    """A client's own id of its request, if it is a short word."""
    return header if header and _WORD.fullmatch(header) else None


def route_of(request: web.Request) -> str:
    """The pattern of a request's path; empty where it is of none. The path itself may hold a secret."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""


def method_of(request: web.BaseRequest) -> str:
    """Its method, if it is one that there is: any word may stand there."""
    return request.method if request.method in _METHODS else "other"
