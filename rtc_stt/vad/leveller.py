"""Bring quiet and loud speakers to one loudness before the detector hears them.

Silero judges by loudness too: after a loud speaker it hears one 13 dB quieter up to a second late. A gain
that follows the loudest recent window down at once and up slowly takes that away. Only the detector hears the
levelled sound; what is decoded is left as it was spoken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtc_stt.audio import SAMPLE_RATE, WINDOW

__all__ = ["TARGET_RMS", "level", "root_mean_square"]

TARGET_RMS = 0.1
"""The loudness (RMS, full scale 1) that the loudest recent window is brought to."""

MAX_GAIN = 30.0
"""About 30 dB; more would raise a quiet room's hiss to a voice's loudness."""

RELEASE_DB_PER_S = 1.5
"""How fast the gain recovers. Slower, and a quiet answer to a loud question comes late; faster, and the gain
rises within a sentence's own pauses, where it lifts the noise between the words."""

_RELEASE = np.float32(10 ** (-RELEASE_DB_PER_S / 20 * WINDOW / SAMPLE_RATE))
_LEAST = np.float32(TARGET_RMS / MAX_GAIN)
_RAMP = np.linspace(0, 1, WINDOW, dtype=np.float32)


def level(
    windows: npt.NDArray[np.float32], loudness: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """One window for each of ``B`` streams, levelled.

    Args:
        windows: shape ``(B, 512)``.
        loudness: the loudness of each stream as the call before returned it, shape ``(B,)``; ``TARGET_RMS``
            for a stream that begins.

    Returns:
        The windows, and the loudness that is now followed. Within a window the gain moves in a line from the
        last one's to its own, so that no step is heard.
    """
    rms = root_mean_square(windows)
    followed = np.maximum(np.maximum(rms, loudness * _RELEASE), _LEAST)
    before = TARGET_RMS / loudness[:, None]
    after = TARGET_RMS / followed[:, None]
    levelled = (after - before) * _RAMP
    levelled += before
    levelled *= windows
    np.maximum(levelled, -1, out=levelled)
    return np.minimum(levelled, 1, out=levelled), followed


def root_mean_square(windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The loudness of windows, shape ``(B,)``."""
    # A row times itself as a column: of all ways the one that makes no array of squares, nor thinks long.
    squares = (windows[:, None] @ windows[:, :, None])[:, 0, 0]
    return np.asarray(np.sqrt(squares / windows.shape[1]), np.float32)
