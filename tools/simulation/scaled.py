"""The policy that a real fleet is scaled by, for a simulated one."""

from __future__ import annotations

from collections.abc import Callable

from rtc_stt.replicas.scaling import Aim, Load, Past, wanted
from rtc_stt.simulation import Scaler, Seen

__all__ = ["scaler"]


def scaler(aim: Aim) -> Callable[[], Scaler]:
    """Makes one that remembers what it saw."""

    def make() -> Scaler:
        past = Past()

        def scale(seen: Seen, target: int, now: float) -> int:
            nonlocal past
            load = Load(seen.running, seen.queued_audio_s, seen.busy, seen.calls)
            count, past = wanted(aim, load, target, past, now)
            return count

        return scale

    return make
