"""``rtc-stt transcribe FILE…``: files through the same recognizer that serves live speakers."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.cli import common
from rtc_stt.cli.demo import read_values
from rtc_stt.commands import Configure
from rtc_stt.errors import BadAudio
from rtc_stt.events import Event, SessionError, SessionWarning, TranscriptFinal
from rtc_stt.media import read_audio
from rtc_stt.session import Session, Speech
from rtc_stt.subtitles import subtitle
from rtc_stt.wire import encode_event

__all__ = ["add_parser", "transcribe"]

CHUNK_S = 0.02
"""A live microphone sends 20 ms at a time; so does ``--realtime``."""

BACKLOG_S = 2.0
"""How far the reader may run ahead of the detector."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = common.add_parser(
        commands,
        "transcribe",
        run,
        help="transcribe audio files with the live recognizer",
        example="rtc-stt transcribe --demo --format srt talk.flac",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--format", choices=("text", "jsonl", "srt", "vtt"), default="text", help="default: text"
    )
    parser.add_argument("--language", help="language code; detected where it is not given")
    parser.add_argument("--realtime", action="store_true", help="paced as a speaker would be")
    parser.add_argument("--demo", action="store_true", help="use the bundled demo models")
    common.add_config(parser)
    common.add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Transcribe the files one after the other; 1 where one could not be read."""
    common.set_up_logging(options)
    values = read_values(options)
    for path in options.files:
        if not path.is_file():
            raise BadAudio(f"{path}: no such file")
    return asyncio.run(_run(options, common.make_speech(values, live=options.realtime)))


async def _run(options: argparse.Namespace, speech: Speech) -> int:
    failed = False
    try:
        if options.format == "vtt":
            print("WEBVTT\n")
        number = 0
        for path in options.files:
            try:
                async for event in transcribe(
                    speech, path, language=options.language, realtime=options.realtime
                ):
                    number += isinstance(event, TranscriptFinal)
                    _print(event, options.format, number)
            except BadAudio as error:
                print(f"rtc-stt: {error}", file=sys.stderr)
                failed = True
    finally:
        await speech.aclose()
    return 1 if failed else 0


def _print(event: Event, form: str, number: int) -> None:
    if form == "jsonl":
        print(encode_event(event), flush=True)
    elif isinstance(event, TranscriptFinal):
        print(event.text if form == "text" else subtitle(event, form, number), flush=True)
    elif isinstance(event, SessionWarning | SessionError):
        print(f"rtc-stt: {event.message}", file=sys.stderr)


async def transcribe(
    speech: Speech, path: Path, *, language: str | None = None, realtime: bool = False
) -> AsyncIterator[Event]:
    """The events of one file, as they come about.

    Raises:
        BadAudio: the file cannot be read.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    session = Session(speech, events.put_nowait, transport="file")
    session.ended.add_done_callback(lambda _: events.put_nowait(None))
    session.start()
    if language:
        session.receive_command(Configure({"language": language}))
    feeding = asyncio.get_running_loop().create_task(_feed(session, path, realtime))
    try:
        while (event := await events.get()) is not None:
            yield event
        await feeding
    finally:
        feeding.cancel()
        session.abort("cancelled")


async def _feed(session: Session, path: Path, realtime: bool) -> None:
    """Read the file off the loop, and never far ahead of the recognizer."""
    loop = asyncio.get_running_loop()
    chunks = _pieces(path)
    begun, sent = loop.time(), 0
    try:
        while (chunk := await loop.run_in_executor(None, next, chunks, None)) is not None:
            session.receive_audio(chunk)
            sent += len(chunk)
            if realtime:
                await asyncio.sleep(begun + sent / SAMPLE_RATE - loop.time())
            while session.backlog_s > BACKLOG_S:
                await asyncio.sleep(0.005)
    finally:
        session.finish("end_of_file")


def _pieces(path: Path) -> Iterator[Samples]:
    size = round(CHUNK_S * SAMPLE_RATE)
    for chunk in read_audio(path):
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]
