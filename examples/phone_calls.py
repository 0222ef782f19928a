"""A phone call from Asterisk: announce it, listen to it, print what is said.

With ``AUDIOSOCKET_PORT=9092 rtc-stt demo`` running, ``python examples/phone_calls.py http://localhost:8080``
prints the line for your dial plan. Without a PBX, play a recording into the call as Asterisk would:
``python examples/phone_calls.py http://localhost:8080 web_demo/samples/booking.wav``
"""

import asyncio
import os
import sys
import uuid
import wave

import aiohttp

AUDIOSOCKET = os.environ.get("AUDIOSOCKET", "127.0.0.1:9092")
"""Where Asterisk finds the server."""

NAME, HANG_UP, AUDIO = 0x01, 0x00, {8_000: 0x10, 16_000: 0x12, 48_000: 0x16}
"""Kinds of frames."""


async def main(url: str, path: str = "") -> None:
    key = os.environ.get("RTC_STT_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(url, headers=headers) as http:
        # What is said here comes back with the events; options are those of a configure.
        call = {"source": "audiosocket", "caller": "+49 30 123456", "options": {"language": "en"}}
        async with http.post("/v1/calls", json=call, raise_for_status=True) as response:
            expected = await response.json()
        async with http.ws_connect(expected["events_url"]) as events:
            print(f"same => n,AudioSocket({expected['uuid']},{AUDIOSOCKET})", flush=True)
            playing = asyncio.create_task(play(path, expected["uuid"])) if path else None
            async for message in events:
                show(message.json())
            if playing:
                await playing


def show(event: dict[str, object]) -> None:
    match event:
        case {"type": "call.started", "caller": caller}:
            print(f"-- {caller} calls")
        case {"type": "transcript.final", "leg": leg, "text": text}:
            print(f"{leg}: {text}")
        case {"type": "dtmf", "digit": digit}:
            print(f"-- pressed {digit}")
        case {"type": "warning", "message": message}:
            print(f"-- {message}")
        case {"type": "call.ended", "reason": reason}:
            print(f"-- {reason}")


async def play(path: str, name: str) -> None:
    """A recording, as Asterisk would send it: 20 ms at a time, in real time."""
    host, _, port = AUDIOSOCKET.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(frame(NAME, uuid.UUID(name).bytes))
    with wave.open(path) as file:  # 16 bit, mono
        rate = file.getframerate()
        while audio := file.readframes(rate // 50):
            writer.write(frame(AUDIO[rate], audio))
            await asyncio.sleep(0.02)
    writer.write(frame(HANG_UP))
    await reader.read()  # until every word of it is told
    writer.close()


def frame(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(2, "big") + payload


if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
asyncio.run(main(*sys.argv[1:]))
