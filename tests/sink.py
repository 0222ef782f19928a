"""Where spans go in tests: nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from rtc_stt.spans import Span


class Sink:
    """A :class:`~rtc_stt.spans.SpanSink` that keeps what it is given."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def export(self, spans: Sequence[Span]) -> None:
        self.spans += spans

    def is_sampled(self, trace_id: str) -> bool:
        return True

    async def aclose(self) -> None:
        pass
