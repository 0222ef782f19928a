"""What the end-to-end tests share: clips, servers as a user starts them, voices, and waiting with a limit."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import fractions
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from aiohttp import web
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av.audio.resampler import AudioResampler

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.words import normalise
from rtc_stt.cli.common import GROUPS, make_speech
from rtc_stt.cli.demo import DEMO_VALUES
from rtc_stt.commands import Command
from rtc_stt.config_keys import keys
from rtc_stt.events import Event, TranscriptFinal, UtteranceDropped
from rtc_stt.instrument import Instrument
from rtc_stt.media import read_audio
from rtc_stt.session import Session, Speech
from signaling.app import create_app
from signaling.metrics import Metrics
from signaling.page import About
from signaling.registry import Registry
from signaling.serve import listening
from signaling.settings import Access, Server, WebRtc
from tools.live_line.client import LiveClient

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "tests" / "clips"
HUMAN_SPEECH = ROOT.parent / "shared" / "audio"
"""Recordings that lie beside a checkout on some machines; their tests are skipped where they do not."""
OUTPUT = ROOT / "test-output"

T = TypeVar("T")


# ── Waiting ────────────────────────────────────────────────────────────


async def until(ready: Callable[[], T], seconds: float = 10.0) -> T:
    """What ``ready()`` gives, as soon as it gives something true; what it last gave when time is up."""
    deadline = time.monotonic() + seconds
    while not (found := ready()) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    return found


# ── Clips ────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Clip:
    """A recording with known words."""

    id: str
    set: str
    text: str
    audio: Samples = field(repr=False)
    """Cut to its speech, with a tenth of a second around it."""

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


def load(path: Path) -> Samples:
    return np.concatenate(list(read_audio(path)))


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def clips(kind: str) -> Iterator[Clip]:
    """The clips of one set, each read when its turn comes."""
    margin = 100
    for entry in json.loads((CLIPS / "manifest.json").read_text(encoding="utf-8")):
        if entry["set"] != kind:
            continue
        audio = load(CLIPS / entry["file"])
        start = max(0, entry["speech_start_ms"] - margin) * SAMPLE_RATE // 1000
        end = (entry["speech_end_ms"] + margin) * SAMPLE_RATE // 1000
        yield Clip(entry["id"], kind, entry["text"], audio[start:end])


def resample(audio: Samples, rate: int, *, of: int = SAMPLE_RATE) -> Samples:
    frame = av.AudioFrame.from_ndarray(audio[None], format="fltp", layout="mono")
    frame.sample_rate = of
    resampler = AudioResampler("fltp", "mono", rate)
    return np.concatenate(
        [f.to_ndarray()[0] for f in [*resampler.resample(frame), *resampler.resample(None)]]
    )


def write_wav(path: Path, audio: Samples, rate: int = 48_000) -> Path:
    """16 bit mono at ``rate``: what Chromium takes for a microphone."""
    pcm = np.clip(np.round(resample(audio, rate) * 32767), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return path


# ── Offline ────────────────────────────────────────────────────────────


async def hear(
    speech: Speech,
    audio: Samples,
    *,
    commands: Sequence[Command] = (),
    watch: Callable[[Session], None] | None = None,
) -> list[Event]:
    """All events of a session that is fed as fast as the machine can."""
    told: list[Event] = []
    session = Session(speech, told.append, transport="file")
    session.start()
    for command in commands:
        session.receive_command(command)
    piece = SAMPLE_RATE // 50
    for start in range(0, len(audio), piece):
        session.receive_audio(audio[start : start + piece])
        while session.backlog_s > 1:
            await asyncio.sleep(0.001)
        if watch:
            watch(session)
    session.finish("end_of_file")
    async with asyncio.timeout(60):
        await session.ended
    return told


def finals(events: Sequence[Event]) -> list[TranscriptFinal]:
    return [event for event in events if isinstance(event, TranscriptFinal)]


def text_of(events: Sequence[Event]) -> str:
    return " ".join(event.text for event in finals(events))


def conclusions(events: Sequence[Event]) -> list[int]:
    """Ids of the utterances that got their final or drop, in the order told."""
    return [e.utterance_id for e in events if isinstance(e, TranscriptFinal | UtteranceDropped)]


def demo_speech(instrument: Instrument | None = None) -> Speech:
    return make_speech(DEMO_VALUES, instrument)


def through_opus(audio: Samples) -> Samples:
    """As a browser would send it: Opus at 24 kbit/s, and back."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.bit_rate, encoder.sample_rate = 24_000, 48_000
    encoder.format, encoder.layout = "flt", "mono"
    encoder.options = {"application": "voip"}
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    frames = AudioResampler("flt", "mono", 48_000, frame_size=960)
    back = AudioResampler("flt", "mono", SAMPLE_RATE)
    frame = av.AudioFrame.from_ndarray(audio[None], format="flt", layout="mono")
    frame.sample_rate = SAMPLE_RATE
    packets = [
        p for f in [*frames.resample(frame), None] if f is None or f.samples for p in encoder.encode(f)
    ]
    decoded = [f for packet in packets for f in decoder.decode(packet)]
    for f in decoded:
        f.pts = None
    out = [g for f in [*decoded, None] for g in back.resample(f)]
    return np.concatenate([g.to_ndarray().reshape(-1) for g in out])


def through_telephone(audio: Samples) -> Samples:
    """8 kHz and 8 bits of mu-law, and back."""
    narrow = np.clip(resample(audio, 8_000), -1, 1)
    companded = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    steps = np.round(companded * 127) / 127
    wide = np.sign(steps) * (256 ** np.abs(steps) - 1) / 255
    return resample(wide.astype(np.float32), SAMPLE_RATE, of=8_000)


async def _understood(kind: str, count: int) -> list[Clip]:
    """Clips that the demo models get right offline, whatever way the audio may travel."""
    speech, chosen = demo_speech(), list[Clip]()
    try:
        for clip in clips(kind):
            if len(chosen) == count:
                break
            ways = (
                lambda audio: audio,
                through_opus,
                through_telephone,
                lambda audio: through_opus(audio * np.float32(0.4)),
                lambda audio: np.concatenate([silence(0.011), audio]),
            )
            heard = set()
            for way in ways:
                heard.add(
                    text_of(await hear(speech, np.concatenate([silence(0.6), way(clip.audio), silence(0.8)])))
                )
                if len(heard) > 1 or normalise(next(iter(heard))) != normalise(clip.text):
                    break
            else:
                chosen.append(Clip(clip.id, kind, heard.pop(), clip.audio))
    finally:
        await speech.aclose()
    return chosen


def understood(kind: str, count: int, together: Path | None = None) -> list[Clip]:
    """See :func:`_understood`; the ``text`` of each is what the models say offline, to the letter.

    Args:
        together: a folder that processes share: the first of them asks the models, the others read what came
            of it.
    """
    if together is None:
        found = asyncio.run(_understood(kind, count))
        assert len(found) == count, f"the demo models get only {len(found)} of the {kind} clips right"
        return found
    note = together / f"understood-{kind}-{count}.json"
    with (together / f"{note.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            texts = {clip.id: clip.text for clip in understood(kind, count)}
            note.write_text(json.dumps(texts), encoding="utf-8")
    texts = json.loads(note.read_text(encoding="utf-8"))
    return [replace(clip, text=texts[clip.id]) for clip in clips(kind) if clip.id in texts]


ROOMY = Access(max_half_open_per_key=32, rate_limit_rps=1_000, rate_limit_burst=1_000)
"""Here all clients have one address."""


# ── Servers ────────────────────────────────────────────────────────────


def measured(package: str, folder: Path, *arguments: str) -> dict[str, Any]:
    """The result of one command of a package of ``tools``; it may have missed its marks."""
    out = folder / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", package, *arguments, "--out", str(out)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(out.read_text(encoding="utf-8")))


def clean_environment(**more: str) -> dict[str, str]:
    """The environment of a user who has configured nothing."""
    ours = {spec.name for group in GROUPS for spec in keys(group).values()} | {"CONFIG_PATH"}
    return {name: value for name, value in os.environ.items() if name not in ours} | more


def rtc_stt(*arguments: str, seconds: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "rtc_stt", *arguments],
        cwd=ROOT,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


class Process:
    """A server started from the command line; its output goes to a file, so that no pipe can fill up."""

    def __init__(self, log: Path, *arguments: str, **environment: str) -> None:
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rtc_stt", *arguments],
                cwd=ROOT,
                env=clean_environment(**environment),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def url(self, seconds: float = 40) -> str:
        """The address that it tells once it serves."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(r"http://\S+:\d+", self.log):
                return found.group()
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the server did not come up:\n{self.log}")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 25) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        """Whatever became of it: it is gone after this."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        """End it as an operator does. It must drain, say nothing alarming, and exit with 0."""
        try:
            self.terminate()
            code = self.wait()
        finally:
            self.kill()
        assert code == 0, f"exit code {code}:\n{self.log}"
        self.assert_calm()

    def assert_calm(self) -> None:
        for word in ("Traceback", " ERROR ", " CRITICAL "):
            assert word not in self.log, self.log


class _BorrowedSpeech(Speech):
    """One that outlives the application that it is given to."""

    async def aclose(self) -> None:
        pass


@dataclass
class Gateway:
    """The gateway in this process, where its insides can be watched."""

    url: str
    app: web.Application
    speech: Speech


@contextlib.asynccontextmanager
async def run_gateway(
    speech: Speech, *, webrtc: WebRtc | None = None, access: Access | None = None, **settings: Any
) -> AsyncIterator[Gateway]:
    borrowed = _BorrowedSpeech(
        vad=speech.vad,
        pool=speech.pool,
        options=speech.options,
        routing=speech.routing,
        instrument=speech.instrument,
    )
    server = Server(port=0, **settings)
    about = About(mode="demo", fast="fast", accurate="accurate", languages=("en",))
    webrtc = webrtc or WebRtc()
    host = Registry(borrowed, server, webrtc)
    app = create_app(host, server, access or ROOMY, webrtc, about, Metrics(), streams=host)
    async with listening(app) as port:
        yield Gateway(f"http://127.0.0.1:{port}", app, borrowed)


# ── Voices ────────────────────────────────────────────────────────────


class Voice(MediaStreamTrack):
    """Says one thing at any sample rate and speed, then silence. ``said`` is set when it has left."""

    kind = "audio"

    def __init__(
        self, audio: Samples, *, rate: int = SAMPLE_RATE, channels: int = 1, pace: float = 1.0
    ) -> None:
        super().__init__()
        self.said = asyncio.Event()
        self._audio = resample(audio, rate) if rate != SAMPLE_RATE else audio
        self._rate, self._channels, self._pace = rate, channels, pace
        self._sent = 0
        self._begun: float | None = None

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        size = self._rate // 50
        self._begun = self._begun or time.monotonic()
        due = self._begun + (self._sent + size) / self._rate / self._pace
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        samples = self._audio[self._sent : self._sent + size]
        samples = np.pad(samples, (0, size - len(samples)))
        pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(pcm, self._channels)[None],
            format="s16",
            layout="stereo" if self._channels == 2 else "mono",
        )
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = self._sent, fractions.Fraction(1, self._rate)
        self._sent += size
        if self._sent >= len(self._audio):
            self.said.set()
        return frame


def give_voice(client: LiveClient, voice: Voice) -> Voice:
    """Let a client that is not connected yet speak by this track."""
    client.speaker.stop()
    client.speaker = voice  # type: ignore[assignment]
    client.connection.getSenders()[0].replaceTrack(voice)
    return voice


def sequence(client: LiveClient) -> list[int]:
    return [received.event.seq for received in client.received]


def assert_whole(client: LiveClient) -> None:
    """Numbers from 1 without a gap, from ``session.started`` to ``session.ended``."""
    assert sequence(client) == list(range(1, len(client.received) + 1))
    assert client.received[0].event.type == "session.started"
    assert client.received[-1].event.type == "session.ended"


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def find_gstreamer() -> str | None:
    """The system's Python, if it has the bindings of GStreamer and webrtcbin with all that it needs."""
    python = "/usr/bin/python3"
    elements = ("webrtcbin", "nicesrc", "dtlsdec", "srtpdec", "opusenc", "rtpopuspay")
    probe = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstWebRTC', '1.0');"
        "from gi.repository import Gst, GstWebRTC; Gst.init(None);"
        f"assert all(map(Gst.ElementFactory.find, {elements}))"
    )
    try:
        subprocess.run([python, "-c", probe], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return python
