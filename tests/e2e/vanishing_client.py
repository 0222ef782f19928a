"""A client that the test kills while it speaks: ``python -m tests.e2e.vanishing_client URL CLIP.npy``.

Says "speaking" on its output when its first partial has come, and goes on until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np

from tools.live_line.client import LiveClient


async def main(url: str, clip: Path) -> None:
    async with LiveClient(url) as client:
        for _ in range(20):
            client.speaker.speak(np.load(clip))
        await client.wait_for("transcript.partial", timeout=20)
        sys.stdout.write("speaking\n")
        sys.stdout.flush()
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
