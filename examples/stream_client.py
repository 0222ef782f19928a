"""A live session over a WebSocket: speak a recording, print the transcript as it comes.

With ``rtc-stt demo`` running:
``python examples/stream_client.py http://localhost:8080 web_demo/samples/booking.wav``
"""

import asyncio
import os
import sys
import wave

from rtc_stt.client import StreamClient
from rtc_stt.events import SessionResumed, TranscriptFinal, TranscriptPartial


async def main(url: str, path: str) -> None:
    with wave.open(path) as file:  # 16 bit; anything else: give send() floats of shape (n, channels)
        rate, channels, audio = file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())
    # With is_live=False it goes as fast as the server takes it, and nothing of it is ever given up.
    client = StreamClient(url, key=os.environ.get("RTC_STT_KEY"), sample_rate=rate, channels=channels)
    async with client as live:
        speaking = asyncio.create_task(speak(live, audio))
        async for event in live:
            match event:
                case TranscriptPartial():
                    print("  ", event.text)
                case TranscriptFinal():
                    print(event.text, f"({event.confidence:.0%}, {event.model})")
                case SessionResumed():
                    print("-- the connection was lost, and no word of it")
        await speaking


async def speak(live: StreamClient, audio: bytes) -> None:
    await live.send(audio)
    await live.stop()


if len(sys.argv) != 3:
    sys.exit(__doc__)
asyncio.run(main(*sys.argv[1:]))
