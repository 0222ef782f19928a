"""Which final belongs to which turn, found from what is certain. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rtc_stt.bench.turns.scene import Turn

__all__ = ["attribute"]


def attribute(turns: Sequence[Turn], finals: Sequence[tuple[float, str]]) -> tuple[int | None, ...]:
    """The turn of each final; None for an extra one."""
    raise NotImplementedError
