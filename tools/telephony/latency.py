"""How soon a final follows the end of speech: over calls, and over WebRTC, the same clips by turns.

Each clip is spoken three times, in a session of its own each time: into a SIP call (PCMU), into a media
stream as Twilio sends it (PCMU over a WebSocket), and as a browser does (WebRTC, Opus), each with what a
telephone line leaves of it. One server, one caller at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import time
from collections.abc import Iterable
from typing import Any

import aiohttp
import numpy as np
from tqdm import tqdm

from rtc_stt.bench.clips import Clip, load
from rtc_stt.bench.result import percentiles
from rtc_stt.bench.server import running
from rtc_stt.bench.words import word_error_rate
from rtc_stt.events import SpeechStopped, TranscriptFinal
from tools.live_line.turn import AFTER_S, BEFORE_S, PATIENCE_S, Final, quiet, speak_clip
from tools.ports import free_port
from tools.telephony.caller import PACKET_S, Caller
from tools.telephony.ear import CallEar, HeardCall
from tools.telephony.line import heard_over, payloads

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "end of speech to final over calls and over WebRTC, the same clips by turns"

CALLS = ("sip", "media_stream")
WAYS = (*CALLS, "webrtc")

AT_MOST_MS = 10.0
"""By so much the medians may differ."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--limit", type=int, default=20, help="clips of each set (default: 20)")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """See the top of this file."""
    clips = load("clean", "digits", limit=options.limit)
    port = free_port()
    settings = {"SIP_PORT": str(port), "SIP_ALLOW": "127.0.0.1/32", "RESUME_SECONDS": "1"}
    with (
        running(None, environment=settings) as server,
        tqdm(total=len(WAYS) * len(clips), unit="clip") as bar,
    ):
        finals = asyncio.run(_speak_all(server.url, port, clips, bar))
    told = {way: _summary(of_way) for way, of_way in finals.items()}
    medians = {way: figures["endpoint_to_final_ms"].get("p50", np.inf) for way, figures in told.items()}
    apart = {way: round(medians[way] - medians["webrtc"], 1) for way in CALLS}
    return {
        "marks": {
            **{f"{way}_p50_within_10_ms_of_webrtc": abs(apart[way]) <= AT_MOST_MS for way in CALLS},
            "no_final_missing": all(figures["finals"] == len(clips) for figures in told.values()),
        },
        "endpoint_to_final_p50_less_that_of_webrtc_ms": apart,
        "ways": told,
    }


async def _speak_all(url: str, port: int, clips: list[Clip], bar: Any) -> dict[str, list[Final]]:
    finals: dict[str, list[Final]] = {way: [] for way in WAYS}
    caller = Caller(("127.0.0.1", port))
    try:
        async with CallEar(url) as ear:
            await _over_webrtc(url, clips[0])  # the first session of a process pays for imports
            for number, clip in enumerate(clips):
                for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:  # who begins, too
                    name = f"{way}-{number}"
                    if way == "sip":
                        found = await _over_sip(caller, ear, name, clip)
                    elif way == "media_stream":
                        found = await _over_media_stream(url, ear, name, clip)
                    else:
                        found = await _over_webrtc(url, clip)
                    finals[way] += found
                    bar.update()
    finally:
        caller.close()
    return finals


async def _over_sip(caller: Caller, ear: CallEar, name: str, clip: Clip) -> list[Final]:
    script = _script(clip)
    call = await asyncio.to_thread(caller.call, name)
    await asyncio.to_thread(caller.speak, [call], [script], len(script) * PACKET_S)
    try:
        return await _told(ear, name, clip, caller.begun)
    finally:
        await asyncio.to_thread(caller.hang_up, call)


async def _over_media_stream(url: str, ear: CallEar, name: str, clip: Clip) -> list[Final]:
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"callSid": name, "from": name, "tracks": ["inbound"], "mediaFormat": form}
    async with aiohttp.ClientSession(url) as http, http.ws_connect("/v1/media/twilio") as socket:
        await socket.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await socket.send_json({"event": "start", "streamSid": name, "start": {"streamSid": name} | start})
        begun = time.monotonic()
        for number, payload in enumerate(_script(clip)):
            await asyncio.sleep(begun + (number + 1) * PACKET_S - time.monotonic())
            media = {
                "track": "inbound",
                "chunk": str(number + 1),
                "timestamp": str(20 * number),
                "payload": base64.b64encode(payload).decode(),
            }
            await socket.send_json({"event": "media", "streamSid": name, "media": media})
        return await _told(ear, name, clip, begun)


async def _told(ear: CallEar, name: str, clip: Clip, begun: float) -> list[Final]:
    """What was told of a call that began to speak then."""
    try:
        heard = await ear.until(name, _is_concluded, PATIENCE_S)
    except TimeoutError:
        return []
    events = list(zip(heard.events, heard.arrived, strict=True))
    stopped = [at for event, at in events if event["type"] == SpeechStopped.type]
    finals = [(event, at) for event, at in events if event["type"] == TranscriptFinal.type]
    event, at = finals[-1]
    spoken_at = begun + BEFORE_S + clip.speech_end_ms / 1000
    return [
        Final(
            clip.text,
            " ".join(event["text"] for event, _ in finals),
            1000 * (at - stopped[-1]),
            event["timing"]["endpoint_to_final_ms"],
            1000 * (at - spoken_at),
        )
    ]


async def _over_webrtc(url: str, clip: Clip) -> list[Final]:
    return await speak_clip(url, clip, heard_over(np.concatenate([clip.audio(), quiet(AFTER_S)])))


def _is_concluded(call: HeardCall) -> bool:
    stops, finals = call.of("speech.stopped"), call.of("transcript.final")
    return bool(finals) and len(stops) == len(finals) + len(call.of("utterance.dropped"))


def _summary(finals: list[Final]) -> dict[str, Any]:
    return {
        "finals": len(finals),
        "endpoint_to_final_ms": _percentiles(final.endpoint_to_final for final in finals),
        "endpoint_to_final_on_server_ms": _percentiles(final.on_server for final in finals),
        "end_of_speech_to_final_ms": _percentiles(final.end_of_speech_to_final for final in finals),
        "word_error_rate_percent": round(
            100 * word_error_rate((final.said, final.text) for final in finals), 2
        ),
    }


def _percentiles(values: Iterable[float]) -> dict[str, float]:
    return percentiles(values, digits=2)


def _script(clip: Clip) -> list[bytes]:
    return payloads(np.concatenate([quiet(BEFORE_S), clip.audio(), quiet(AFTER_S)]))
