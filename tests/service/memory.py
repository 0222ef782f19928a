"""How much memory recordings take: ``python -m tests.service.memory FILE FILE…``.

For each file in turn it prints the highest resident memory of this process so far in KiB, the seconds that it
took, its segments, and its length in ms. The models are left out: theirs is another matter.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from pathlib import Path

from rtc_stt.config import Recordings, StreamOptions
from rtc_stt.decode_pool import DecodePool
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier
from rtc_stt.service import Options, Transcriber
from rtc_stt.session import Speech
from rtc_stt.testing import hypothesis
from rtc_stt.vad import EnergyDetector, VadBatcher


class Forgetful:
    """An engine that keeps nothing."""

    name, languages = "forgetful", frozenset({"en"})

    def decode(self, request: DecodeRequest) -> Hypothesis:
        """Some words, whatever was said."""
        return hypothesis(request, "these are some words")


async def run(paths: list[str]) -> None:
    """See above."""
    pool = DecodePool({Tier.FAST: Forgetful()}, concurrency=2, adaptive=False)
    speech = Speech(VadBatcher(EnergyDetector()), pool, StreamOptions())
    transcriber = Transcriber(speech, Recordings())
    for path in paths:
        begun = time.monotonic()
        upload = await asyncio.to_thread(Path(path).open, "rb")
        heard = await transcriber.transcribe(upload, Options())
        upload.close()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = time.monotonic() - begun
        sys.stdout.write(f"{peak} {seconds:.2f} {len(heard.segments)} {heard.duration_ms}\n")
    await transcriber.drain(1)
    await speech.aclose()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1:]))
