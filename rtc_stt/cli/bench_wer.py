"""``rtc-stt bench wer``: accuracy of both tiers and of the routing between them, on your recordings."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench.result import provenance
from rtc_stt.bench.wer import figures, report
from rtc_stt.bench.wer.accuracy import Ears, Listened, Listening, fitting_workers, listen
from rtc_stt.bench.wer.corpus import Corpus, load
from rtc_stt.cli import common
from rtc_stt.cli.demo import read_values
from rtc_stt.config import Decoding, Recordings, RedecodeMode, Routing
from rtc_stt.config_keys import Values, build
from rtc_stt.engines.fetch import locate
from rtc_stt.hypothesis import Tier
from rtc_stt.vad import SileroDetector

__all__ = ["add_parser"]


def add_parser(parts: Any) -> None:
    """Add the command to those of ``bench``."""
    parser = common.add_parser(
        parts,
        "wer",
        run,
        help="measure the accuracy of fast, accurate and routed, and find the thresholds that are worth it",
        example="rtc-stt bench wer LibriSpeech/test-clean --limit 300 --out wer.json --plot wer.svg",
    )
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="LibriSpeech's layout, NAME.wav beside NAME.txt, or with a manifest.json(l); or a manifest",
    )
    parser.add_argument("--demo", action="store_true", help="use the bundled demo models")
    parser.add_argument("--limit", type=_count, metavar="N", help="so many recordings, evenly chosen")
    parser.add_argument(
        "--language", help="a code, or told: as the manifest says (default: detected in each recording)"
    )
    parser.add_argument(
        "--workers", type=_count, metavar="N", help="processes that decode (default: by cores; 1 on a GPU)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result here as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the curve here")
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="FILE.jsonl",
        help="write what was heard of each recording here, with texts",
    )
    common.add_config(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Decode, count and tell; 1 where it was broken off or a recording cannot be read."""
    common.set_up_logging(options)
    values = read_values(options)
    decoding, routing = build(Decoding, values), build(Routing, values)
    models = _locate(decoding)
    corpus = load(options.folder, options.limit)
    if routing.redecode_mode is RedecodeMode.VERIFY:
        print("rtc-stt: REDECODE_MODE=verify is not measured here: as with decode", file=sys.stderr)
    on_cpu = common.runs_on_cpu(decoding)
    workers = (options.workers or fitting_workers(decoding.cpu_threads)) if on_cpu else 1
    workers = min(workers, len(corpus.recordings))
    with tqdm(total=len(corpus.recordings), unit="recording") as bar:
        make = partial(make_ears, values, options.language)
        listened = listen(corpus.recordings, make, workers=workers, tick=bar.update)
    for name, why in listened.unreadable.items():
        print(f"rtc-stt: {name} is left out: {why}", file=sys.stderr)
    if not any(heard.recording.text.split() for heard in listened.heard):
        print(f"rtc-stt: nothing was measured: {listened.stopped or 'no recording'}", file=sys.stderr)
        return 1
    result = _result(corpus, listened, routing, models, workers, "cpu" if on_cpu else "cuda")
    _write(options, result, listened, routing)
    print(report.table(result))
    if listened.stopped:
        print(f"rtc-stt: {listened.stopped}; this is what was measured until then", file=sys.stderr)
    return 1 if listened.stopped or listened.unreadable else 0


def make_ears(values: Values, language: str | None) -> Ears:
    """Both tiers of a configuration, for one decode at a time. Called in each process.

    Args:
        language: as on the command line.
    """
    decoding = dataclasses.replace(build(Decoding, values), max_concurrency=1, max_batch=1)
    engines, _ = common.load_engines(decoding)
    stream, recordings = common.stream_options(values), build(Recordings, values)
    how = Listening(
        endpointing=stream.endpointing,
        segment_s=recordings.segment_s,
        max_audio_s=recordings.max_audio_s,
        language=None if language == "told" else language,
        as_told=language == "told",
        languages=stream.languages,
    )
    return Ears(engines, SileroDetector(), how)


def _locate(decoding: Decoding) -> dict[str, Any]:
    """Both models, fetched where they are names; so that processes find them and do not fetch them at once.

    Raises:
        ModelError: one is not configured, or cannot be found.
    """
    told = {}
    for tier, model in (
        (Tier.FAST, common.small_model(decoding, "rtc-stt bench wer --demo")),
        (Tier.ACCURATE, common.medium_model(decoding, "rtc-stt bench wer --demo")),
    ):
        folder, name = locate(model.path)
        told[str(tier)] = {
            "name": name,
            "beam_size": model.beam_size,
            "model.bin": _digest(folder / "model.bin"),
        }
    return told


def _digest(path: Path) -> str | None:
    """As :func:`provenance` tells it; None where there is no such file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _result(
    corpus: Corpus, listened: Listened, routing: Routing, models: dict[str, Any], workers: int, device: str
) -> dict[str, Any]:
    return {
        "measurement": "wer",
        "form": 1,
        "data": {"folder": corpus.folder.resolve().name, "layout": corpus.layout, "sha256": corpus.digest()},
        "device": device,
        "workers": workers,
        "interrupted": bool(listened.stopped),
        "unreadable": len(listened.unreadable),
        **figures.figures(listened.heard, routing, device),
        "provenance": provenance() | {"models": models},
    }


def _write(options: argparse.Namespace, result: dict[str, Any], listened: Listened, routing: Routing) -> None:
    rows = figures.rows(listened.heard, routing) if options.rows else []
    for path, content in (
        (options.out, json.dumps(result, indent=1, ensure_ascii=False) + "\n"),
        (options.plot, report.picture(result)),
        (options.rows, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)),
    ):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
