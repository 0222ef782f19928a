"""One row for each turn: the figures of ``docs/turns.md`` before anything is summed up. Pure data.

Rows are what a result keeps, so that two results can be compared turn by turn.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TurnRow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """All that is known of one turn. Times in ms; None: not to be had of this target, or of this turn."""

    scene: str
    turn: str
    set: str
    speaker: int
    round: int = 0
    """Which time it was played, from 0."""
    language: str
    said: str
    heard: str
    """The finals of the turn, joined by a space."""
    finals: int
    """Finals with text in them."""
    is_timed_out: bool
    """No final came after the true end of speech, for as long as was waited."""
    ttfs_ms: float
    """Receipt of the last final - t_off. Where it timed out, the patience of the run."""
    eou_ms: float | None
    """Receipt of the last endpoint - t_off."""
    endpoint_to_final_ms: float | None
    """Between the receipts of the last endpoint and the last final."""
    is_cut_off: bool
    """An endpoint or a final came before the true end of speech, or the turn came in several finals."""
    pause_ms: int
    """The longest pause inside the turn; 0 without one."""
    ttfp_ms: float | None
    """Receipt of the first partial with text whose first word is right - t_on."""
    has_partials: bool
    wel_ms: tuple[float, ...]
    """For each word that is in the final and whose times are known: when it was first shown never to go away
    again - when it was spoken."""
    partial_lag_ms: tuple[float, ...]
    """For each partial that says up to where it listened: its receipt - when that was spoken."""
    erased_words: int
    """Words that were shown and taken back, over all changes of what is shown."""
    shown_words: int
    """Words of the finals: what :attr:`erased_words` and :attr:`revised_words` are shares of."""
    revised_words: int
    """Words of the final that were shown otherwise before, at their place."""
    retractions: int
    """Partials and finals that changed text which had been declared stable."""
    word_errors: int
    words: int
    """Of what was said."""
    char_errors: int
    chars: int
    degraded_finals: int = 0
