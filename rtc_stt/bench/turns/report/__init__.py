"""What a result looks like, as text: the table in the terminal, and the page. Pure."""

from rtc_stt.bench.turns.report.page import page
from rtc_stt.bench.turns.report.terminal import table

__all__ = ["page", "table"]
