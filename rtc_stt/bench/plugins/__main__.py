"""How soon a final follows the end of speech in a Pipecat pipeline: ours and Pipecat's own Whisper service.

Both get the same model and the same clips, in real time, one clip after the other and by turns, in one
process. Ours is asked over a WebSocket of a server on this machine; theirs decodes in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loguru import logger
from pipecat.audio.vad.vad_analyzer import VAD_STOP_SECS
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.whisper.stt import WhisperSTTService
from pipecat.transcriptions.language import Language
from tqdm import tqdm

from rtc_stt.bench import clips as recordings
from rtc_stt.bench.clips import Clip
from rtc_stt.bench.peers.weights import Weights, locate
from rtc_stt.bench.plugins.ears import Ears
from rtc_stt.bench.plugins.ttfs import OURS, THEIRS, Played, figures, marks, table, with_table
from rtc_stt.bench.result import provenance
from rtc_stt.bench.server import running
from rtc_stt.errors import RtcSttError
from rtc_stt.plugins.pipecat import RtcSTTService, RtcSTTSettings

__all__ = ["DOCUMENT", "RESULT", "documented", "main", "measure"]

ROOT = Path(__file__).resolve().parents[3]
RESULT = ROOT / "docs" / "results" / "ttfs.json"
DOCUMENT = ROOT / "docs" / "benchmarks.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table; 1 where the mark is missed or it failed."""
    options = _parser().parse_args(arguments)
    if options.table:
        DOCUMENT.write_text(documented(), encoding="utf-8")
        return 0
    logger.remove()  # its log tells every transcript
    logger.add(sys.stderr, level="ERROR")
    weights = locate(options.model, Path())
    chosen = recordings.load(*options.sets, limit=options.limit, folder=options.clips)
    try:
        with running(options.url, environment=weights.configuration) as server:
            rows = asyncio.run(measure(server.url, weights, chosen))
    except RtcSttError as error:
        print(error, file=sys.stderr)
        return 1
    found = figures(rows)
    reached = marks(found)
    result: dict[str, Any] = {
        "provenance": provenance(options.clips),
        "pipecat-ai": version("pipecat-ai"),
        "model": weights.name,
        "stop_secs": VAD_STOP_SECS,
        "figures": found,
        "marks": {mark.name: mark.to_json() for mark in reached},
        "rows": [row.to_json() for row in rows],
    }
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(found))
    return int(any(mark.met is False for mark in reached))


def documented() -> str:
    """The document with its table as the committed result has it."""
    return with_table(DOCUMENT.read_text("utf-8"), json.loads(RESULT.read_text("utf-8")))


async def measure(url: str, weights: Weights, chosen: Sequence[Clip]) -> list[Played]:
    """Play every clip to both, by turns; who is first changes. The first clip warms both and counts not."""
    ours = RtcSTTService(url, settings=RtcSTTSettings(language="en"))
    theirs = await asyncio.to_thread(_whisper, weights)
    rows: list[Played] = []
    async with Ears(OURS, ours) as one, Ears(THEIRS, theirs) as other:
        for ears in (one, other):
            await ears.hear(chosen[0])
        for number, clip in enumerate(tqdm(chosen, unit="clip", leave=False)):
            first, second = (one, other) if number % 2 else (other, one)
            rows += [await first.hear(clip), await second.hear(clip)]
    return rows


def _whisper(weights: Weights) -> FrameProcessor:
    """As it comes, apart from the model."""
    settings = WhisperSTTService.Settings(model=str(weights.folder), language=Language.EN)
    return WhisperSTTService(device="cpu", compute_type="int8", settings=settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rtc_stt.bench.plugins",
        description=(__doc__ or "").partition("\n")[0],
        epilog="example:\n  python -m rtc_stt.bench.plugins --sets clean --limit 40 --out ttfs.json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--url", help="of a server with that model; without it one is started")
    parser.add_argument("--model", choices=("demo", "demo-tiny"), default="demo", help="default: %(default)s")
    parser.add_argument("--clips", type=Path, default=recordings.CLIPS, help="folder of clips")
    parser.add_argument("--sets", type=lambda told: told.split(","), default=["clean"], help="comma list")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many clips of each set")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result here as JSON as well")
    parser.add_argument(
        "--table", action="store_true", help="only write the table of docs/benchmarks.md anew"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
