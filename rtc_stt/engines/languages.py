"""Which language an utterance is in, where the session allows only some. No model in here."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

__all__ = ["allowed", "most_probable"]


def allowed(wanted: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Those of the wanted languages that the model knows; empty means any."""
    return tuple(dict.fromkeys(code for code in wanted if code in known))


def most_probable(
    probabilities: Iterable[tuple[str, float]], among: Collection[str]
) -> tuple[str, float] | None:
    """The most probable language among these and its probability there (they sum up to 1), or None.

    None where there is nothing to choose from, or where the figures are none (overflow in half precision).
    """
    rated = [(code, probability) for code, probability in probabilities if code in among]
    total = sum(probability for _, probability in rated)
    if not rated or not math.isfinite(total):
        return None
    code, probability = max(rated, key=lambda pair: pair[1])
    # All of them may be as good as impossible; then each is as likely as the other.
    return code, probability / total if total > 0 else 1 / len(rated)
