"""Word error rates of the demo models at several rates of loss, on both receive paths.

Every clip is encoded once for each rate, as an encoder does that knows the rate from the receiver's reports,
and loses the same packets on both paths.
"""

from __future__ import annotations

import argparse
import asyncio
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from rtc_stt.audio import SAMPLE_RATE, Origin, Samples
from rtc_stt.bench.clips import Clip, load
from rtc_stt.bench.link import Conditions
from rtc_stt.bench.words import word_errors
from rtc_stt.cli.common import make_speech
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.commands import Configure
from rtc_stt.events import Event, TranscriptFinal
from rtc_stt.session import Session, Speech
from tools.ingest import opus, paths

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "word error rate at 0, 1, 3, 5 and 10 % loss: stock aiortc against our receive path"
RATES = (0.0, 0.01, 0.03, 0.05, 0.10)
SIDE_BY_SIDE = 4
LEAD_S, TAIL_S = 0.4, 1.6
"""Silence around a clip: the endpoint needs some, and the stock path holds four packets back."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--limit", type=int, help="clips of each set (default: all)")
    parser.add_argument("--sets", nargs="+", default=["clean", "digits"], help="default: clean digits")


@dataclass
class Tally:
    """What one path made of all clips at one rate."""

    errors: int = 0
    words: int = 0
    right: int = 0
    clips: int = 0
    sent: int = 0  # samples
    delivered: int = 0
    origins: dict[Origin, int] = field(default_factory=lambda: dict.fromkeys(Origin, 0))

    def to_json(self) -> dict[str, float | int]:
        """Shares in percent."""
        told: dict[str, float | int] = {
            "word_error_rate_percent": round(100 * self.errors / max(1, self.words), 2),
            "clips_all_right_percent": round(100 * self.right / max(1, self.clips), 1),
            "media_time_delivered_percent": round(100 * self.delivered / max(1, self.sent), 2),
        }
        if any(self.origins.values()):
            told["concealed_percent"] = round(100 * self.origins[Origin.CONCEALED] / self.sent, 2)
            told["lost_percent"] = round(100 * self.origins[Origin.LOST] / self.sent, 2)
        return told


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The table, fit for JSON."""
    clips = load(*options.sets, limit=options.limit)
    with tqdm(total=len(clips) * len(RATES) * 2, unit="session") as bar:
        table = asyncio.run(_measure(clips, bar.update))
    told = {f"{rate:.0%}": {path: tally.to_json() for path, tally in table[rate].items()} for rate in RATES}
    marks = {
        "ours_delivers_99_percent_of_media_time_at_5_percent_loss": (
            told["5%"]["ours"]["media_time_delivered_percent"] >= 99
        ),
        "ours_understands_no_worse_than_stock_at_any_loss": all(
            row["ours"]["word_error_rate_percent"] <= row["stock"]["word_error_rate_percent"]
            for row in told.values()
        ),
    }
    return {"marks": marks, "clips": len(clips), "sets": options.sets, "loss": told}


async def _measure(clips: Sequence[Clip], done: Callable[[], object]) -> dict[float, dict[str, Tally]]:
    speech = make_speech(DEMO_VALUES)
    turns = asyncio.Semaphore(SIDE_BY_SIDE)
    table = {rate: {"stock": Tally(), "ours": Tally()} for rate in RATES}

    async def run(clip: Clip, rate: float) -> None:
        async with turns:
            sent = np.concatenate([_silence(LEAD_S), clip.audio(), _silence(TAIL_S)])
            packets = opus.encode(sent, expected_loss=round(rate * 100))
            seed = zlib.crc32(f"{clip.id} {rate}".encode())
            came = paths.arrivals(packets, Conditions(loss=rate, seed=seed))
            audio, origins = paths.ours(came)
            for path, delivered in (("stock", paths.stock(came)), ("ours", audio)):
                # What stock still holds when the stream stops is not lost: silence of the tail.
                text = await hear(speech, np.concatenate([delivered, _silence(TAIL_S)]))
                _count(table[rate][path], clip, len(packets), delivered, text)
                done()
            for origin, samples in origins.items():
                table[rate]["ours"].origins[origin] += samples

    try:
        await asyncio.gather(*(run(clip, rate) for rate in RATES for clip in clips))
    finally:
        await speech.aclose()
    return table


def _count(tally: Tally, clip: Clip, packets: int, delivered: Samples, text: str) -> None:
    errors, words = word_errors(clip.text, text)
    tally.errors += errors
    tally.words += words
    tally.clips += 1
    tally.right += not errors
    tally.sent += packets * opus.FRAME_MS * SAMPLE_RATE // 1000
    tally.delivered += len(delivered)


async def hear(speech: Speech, audio: Samples) -> str:
    """The finals of a session that gets this as fast as the detector takes it."""
    told: list[Event] = []
    session = Session(speech, told.append, transport="lab")
    session.start()
    session.receive_command(Configure({"partials": False}))  # they change no final, and cost time
    piece = SAMPLE_RATE // 5
    for start in range(0, len(audio), piece):
        session.receive_audio(audio[start : start + piece])
        while session.backlog_s > 1:
            await asyncio.sleep(0.001)
    session.finish("end_of_file")
    await session.ended
    return " ".join(event.text for event in told if isinstance(event, TranscriptFinal))


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)
