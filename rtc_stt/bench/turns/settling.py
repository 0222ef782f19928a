"""When a scene is over: what the player waits for once all of it has been spoken. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rtc_stt.bench.turns.told import Dropped, Eager, Failed, Final, Heard, Partial

__all__ = ["PATIENCE_S", "SETTLE_S", "is_over"]

PATIENCE_S = 10.0
"""For how long a final is waited for."""

SETTLE_S = 1.0
"""Nothing has been told for so long: nothing more is about to come."""

FEWER_FACTOR = 3
"""So many times longer is waited where fewer finals came than there were turns: the last final that came may
be a late one of an earlier turn, or two turns have become one."""


def is_over(
    heard: Sequence[Heard],
    t_off: float,
    now: float,
    *,
    turns: int = 1,
    patience_s: float = PATIENCE_S,
    settle_s: float = SETTLE_S,
) -> bool:
    """Whether nothing more is to be waited for in a scene.

    It has settled where a final came after the true end of its last turn, nothing was told for a while, and
    nothing is open (a partial that no final followed). Whatever happens, patience ends.

    Args:
        heard: what was told in the scene, in the order in which it came.
        t_off: the true end of the last turn, in seconds of ``now``'s clock.
        turns: of the scene.
    """
    if any(isinstance(item.told, Failed) for item in heard) or now >= t_off + patience_s:
        return True
    finals = [item for item in heard if isinstance(item.told, Final) and item.told.text.strip()]
    if not finals or finals[-1].at <= t_off or _is_open(heard):
        return False
    wait_s = settle_s if len(finals) >= turns else FEWER_FACTOR * settle_s
    return now >= heard[-1].at + wait_s


def _is_open(heard: Sequence[Heard]) -> bool:
    """Whether there is text on show that has neither a final nor a drop. An endpoint opens nothing: some
    targets tell it after the final."""
    is_open: dict[str, bool] = {}
    for item in heard:
        match item.told:
            case Partial(text=text, utterance=name) | Eager(text=text, utterance=name):
                is_open[name] = bool(text.strip())
            case Final(utterance=name) | Dropped(utterance=name):
                is_open[name] = False
    return any(is_open.values())
