"""A live session that holds when the network does not: send a recording, print the transcript as it comes.

With ``rtc-stt demo`` running:
``python examples/live_session.py http://localhost:8080 web_demo/samples/booking.wav``
"""

import asyncio
import os
import sys

from aiortc.contrib.media import MediaPlayer

from rtc_stt.client import LiveSession
from rtc_stt.events import SessionResumed, SessionStarted, TranscriptFinal, TranscriptPartial


async def main(url: str, path: str) -> None:
    # Any audio track will do: a microphone, a call, a recording. Without one: await live.send(samples).
    track = MediaPlayer(path).audio
    async with LiveSession(url, key=os.environ.get("RTC_STT_KEY"), track=track) as live:
        await live.configure(language="en")
        async for event in live:
            match event:
                case TranscriptPartial():
                    print("  ", event.text)
                case TranscriptFinal():
                    hole = f", {event.lost_ms} ms lost" if event.lost_ms else ""
                    print(event.text, f"({event.confidence:.0%}, {event.model}{hole})")
                case SessionResumed():
                    print(f"-- back after {event.gap_ms} ms")
                case SessionStarted():
                    print(f"-- session {event.session_id}")  # a second one where the first was gone


if len(sys.argv) != 3:
    sys.exit(__doc__)
asyncio.run(main(*sys.argv[1:]))
