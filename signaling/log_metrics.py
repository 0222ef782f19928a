"""What became of the lines of the log, read when somebody asks: they are written in a thread of their own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from rtc_stt.logs import line_counts

__all__ = ["LogLines"]


class LogLines(Collector):
    """``rtc_stt_log_lines_total{result}``, of this process."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The one family."""
        lines = CounterMetricFamily(
            "rtc_stt_log_lines", "Lines of the log by what became of them.", labels=["result"]
        )
        for result, count in line_counts().items():
            lines.add_metric([result], count)
        yield lines
