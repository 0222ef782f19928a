"""What callers say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rtc_stt.audio import Samples
from tests.e2e.support import Clip, silence
from tools.telephony.packets import Timed, speak

__all__ = ["Words"]


@dataclass(frozen=True)
class Words:
    """A clip with silence around it, and how long that takes."""

    clip: Clip
    audio: Samples

    @classmethod
    def of(cls, clip: Clip) -> Words:
        """The clip, and time enough for the end of its speech to be found."""
        return cls(clip, np.concatenate([silence(0.5), clip.audio, silence(0.9)]))

    def packets(self, **how: Any) -> list[Timed]:
        """As :func:`~tools.telephony.packets.speak`."""
        return speak(self.audio, **how)

    @property
    def ms(self) -> int:
        """Of all of it."""
        return len(self.audio) // 16
