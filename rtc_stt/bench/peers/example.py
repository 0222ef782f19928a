"""The smallest recogniser behind the bridge: it hears loudness, and tells how long each sound was.

A pattern for adapters of your own, and what the bridge is tested with. Run by itself it waits for a caller:
``python example.py --hangover-ms 300``.
"""

from __future__ import annotations

import array
import platform
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtc_stt.bench.peers import link
else:
    import link  # beside this script, in an environment that has no rtc_stt

LOUD = 1_000
"""Of 32767: the mean over a piece."""


class Loudness:
    """One session. Each piece is 20 ms."""

    def __init__(self, tell: link.Tell, hangover_ms: int) -> None:
        self._tell, self._hangover_ms = tell, hangover_ms
        self._loud_ms = self._quiet_ms = self._heard_ms = 0

    def hear(self, pcm: bytes) -> None:
        """Count what is loud, and end the turn after so much quiet."""
        samples = array.array("h", pcm)
        length_ms = len(samples) // 16
        self._heard_ms += length_ms
        if sum(map(abs, samples)) >= LOUD * len(samples):
            self._loud_ms += length_ms + self._quiet_ms
            self._quiet_ms = 0
            self._tell("partial", text=f"{self._loud_ms} ms", audio_end_ms=self._heard_ms)
        elif self._loud_ms:
            self._quiet_ms += length_ms
            if self._quiet_ms >= self._hangover_ms:
                self._tell("endpoint")
                self._tell("final", text=f"{self._loud_ms} ms")
                self._loud_ms = self._quiet_ms = 0

    def close(self) -> None:
        """Nothing is kept."""


def main() -> int:
    """Run as a script."""
    options = link.arguments("Tells how long each sound was.").parse_args()
    facts = {"python": platform.python_version(), "hangover_ms": options.hangover_ms}
    link.serve(lambda tell: Loudness(tell, options.hangover_ms), facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
