"""What the plugins cost in the terms of their frameworks: ``python -m rtc_stt.bench.plugins``."""

from __future__ import annotations

__all__: list[str] = []
