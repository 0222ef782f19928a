"""Which rows go through the model together, and how long each is made. No model in here.

The rows of one call need one length, one beam, and their ``<|startoftranscript|>`` at one position. There is
no attention mask: a shorter row is padded with zero mel, which the model hears as a longer silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rtc_stt.config import ContextPolicy

__all__ = ["FULL_FRAMES", "Batch", "Row", "context_frames", "plan"]

FULL_FRAMES = 3_000
"""Mel frames of 30 s: all that the encoder can see."""

PADDED_EXTRA_FRAMES = 256
"""128 encoder positions: stock weights need this much silence behind the audio to know that it ended."""

PADDED_MIN_FRAMES = 500
"""5 s: with less in all, stock weights loop."""

LIKE_LENGTH = 1.5
"""The longest row of a batch over its shortest. Padding costs encoder time, which is little beside the
decoder time that a shared call saves; padded to twice their length the demo models say the same
(``python -m tools.decode_engine padding``)."""

SLACK_FRAMES = 50
"""Half a second more is always like enough: of short rows the ratio says nothing."""


def context_frames(frames: int, policy: ContextPolicy, n_mels: int) -> int:
    """How many mel frames the encoder is given for ``frames`` real ones.

    One length is avoided: CTranslate2 (seen in 4.8) takes encoder output of exactly ``n_mels`` positions
    for a spectrogram, and encodes it again.
    """
    if policy is ContextPolicy.FULL:
        return FULL_FRAMES
    if policy is ContextPolicy.PADDED:
        frames = max(frames + PADDED_EXTRA_FRAMES, PADDED_MIN_FRAMES)
    positions = (frames + 1) // 2
    if positions == n_mels:
        frames += 2
    return min(frames, FULL_FRAMES)


@dataclass(frozen=True, slots=True)
class Row:
    """What planning needs to know of one request."""

    index: int
    frames: int
    """Mel frames that the encoder is to be given, see :func:`context_frames`."""
    beam: int
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one call."""

    indices: tuple[int, ...]
    frames: int
    """The length of all rows: that of the longest, so it is one that :func:`context_frames` gave."""


def plan(rows: Iterable[Row]) -> list[Batch]:
    """Put every row into one batch, so that there are few batches and little padding.

    From the longest row down, each batch takes all rows that are like its longest.
    """
    alike: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        alike.setdefault((row.beam, row.prompt_tokens), []).append(row)
    batches: list[Batch] = []
    for group in alike.values():
        waiting = sorted(group, key=lambda row: (-row.frames, row.index))
        while waiting:
            longest = waiting[0].frames
            taken = [row for row in waiting if _is_like(row.frames, longest)]
            waiting = waiting[len(taken) :]
            batches.append(Batch(_indices(taken), longest))
    return batches


def _is_like(frames: int, longest: int) -> bool:
    return longest <= max(frames * LIKE_LENGTH, frames + SLACK_FRAMES)


def _indices(rows: Sequence[Row]) -> tuple[int, ...]:
    return tuple(sorted(row.index for row in rows))
