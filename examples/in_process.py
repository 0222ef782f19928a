"""The recognizer without a server: give it audio, print what it says.

Run it: ``python examples/in_process.py web_demo/samples/booking.wav``
"""

import asyncio
import sys
from pathlib import Path

from rtc_stt import demo_models
from rtc_stt.config import ContextPolicy, Routing, StreamOptions
from rtc_stt.decode_pool import DecodePool
from rtc_stt.engines import WhisperEngine
from rtc_stt.events import Event, TranscriptFinal, TranscriptPartial
from rtc_stt.hypothesis import Tier
from rtc_stt.media import read_audio
from rtc_stt.session import Session, Speech
from rtc_stt.vad import SileroDetector, VadBatcher


def show(event: Event) -> None:
    if isinstance(event, TranscriptPartial):
        stable = event.text[: event.stable_chars]
        print(f"  {stable}|{event.text[event.stable_chars :]}")
    elif isinstance(event, TranscriptFinal):
        print(f"{event.text}  ({event.confidence:.0%}, {event.model}, {event.route.decision})")


async def main(path: Path) -> None:
    engines = {
        tier: WhisperEngine(model.path, context_policy=ContextPolicy(model.context_policy))
        for tier, model in ((Tier.FAST, demo_models.FAST), (Tier.ACCURATE, demo_models.ACCURATE))
    }
    # One Speech serves any number of sessions.
    speech = Speech(
        vad=VadBatcher(SileroDetector()),
        pool=DecodePool(engines, concurrency=2),
        options=StreamOptions(language="en"),
        routing=Routing(logprob_threshold=demo_models.FAST.logprob_threshold),
    )
    session = Session(speech, show, transport="file")
    session.start()
    for chunk in read_audio(path):  # a live source would call this as audio comes
        session.receive_audio(chunk)
        await asyncio.sleep(len(chunk) / 16_000)
    session.finish("done")
    await session.ended
    await speech.aclose()


asyncio.run(main(Path(sys.argv[1])))
