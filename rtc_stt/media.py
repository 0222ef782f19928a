"""Foreign audio to ours: any rate, any channels, any common format, to 16 kHz mono float32.

A file may come from a stranger. So FFmpeg reads nothing but that file, in the forms that
:mod:`rtc_stt.media_formats` names, by one thread; what a file claims of itself has bounds; and no message
quotes anything of it.
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import av
import av.audio.resampler
import av.error
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.errors import BadAudio
from rtc_stt.media_formats import CODECS, CONTAINERS, SIZED_CONTAINERS

__all__ = ["MonoResampler", "decode_audio", "read_audio"]

MAX_ALLOC = 32 * 2**20
"""Bytes of one block that FFmpeg asks the system for: a header of a few bytes may claim gigabytes."""

MIN_RATE, MAX_RATE = 2_000, 768_000
"""Samples per second. Speech needs more than the one, and no converter gives more than the other."""

MAX_CHANNELS = 8
"""7.1. All of them are averaged, so more than that would make a speaker inaudible."""

MAX_STREAMS = 64
"""In one file. A film has a few dozen languages at most."""

MAX_PACKET = 8 * 2**20
"""Bytes. The largest honest ones, a second of eight channels at 192 kHz, are half of it."""

MAX_FRAME_S = 60
"""Of one decoded frame. Honest ones are shorter than a second."""

DENSE_FREE, MAX_DENSE = 10_000, 1_000
"""Packets for each second of sound, beyond so many. Opus of 2.5 ms has 400. Each costs its 0.1 ms, so that
a file of packets of one sample would keep a processor busy for longer than it sounds."""

MAX_CHANGES = 50
"""Of rate and channels within a file: each makes a filter, which takes up to 20 ms. Streams that were put one
behind the other have a few."""

DAMAGED_FREE = 20
MAX_DAMAGED = 0.1
"""Packets that cannot be decoded become silence, like a scratch on a record. But where they are more than
this share of all, the file is not what it says; it is judged from so many of them on, and at the end."""

MAX_PATCH_S = 1.0
"""Silence for one of them at most: what a damaged packet says of its length may be wrong too."""

MISSING_SHARE, MISSING_S = 0.05, 0.25
"""A file that holds so much less than its header says was cut off; below that, headers are rounded."""

RIFF_UNKNOWN = 0x7FFF_0000
"""Bytes. From there on a size means that it was not known."""

CUT_OFF = "the file was cut off: it holds less than its header says; send all of it"
NO_AUDIO = "this is no audio that is read here: send WAV, FLAC, MP3, Ogg, Opus, WebM, MP4 or the like"


def _bound_memory() -> bool:
    """Hold FFmpeg to :data:`MAX_ALLOC`, in all of the process. Returns whether its library was found.

    PyAV offers no way to it. Its wheel brings the library along; another build has the system's.
    """
    root = Path(av.__file__).parent
    for library in [*(root.parent / "av.libs").glob("libavutil*"), *(root / ".dylibs").glob("libavutil*")]:
        ctypes.CDLL(str(library)).av_max_alloc(ctypes.c_size_t(MAX_ALLOC))
        return True
    return False


_bound_memory()


class MonoResampler:
    """A stateful resampler of decoded frames: chunk borders leave no clicks and lose no sample.

    A stream may change rate or channels in its middle; the filter then starts anew.
    """

    def __init__(self) -> None:
        self._resampler: Any = None
        self._format: tuple[Any, ...] | None = None

    def push(self, frame: Any) -> Samples:
        """Take an ``av.AudioFrame`` and give what it completes, shape ``(n,)``."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        rest = np.empty(0, np.float32)
        if form != self._format:
            rest = self.flush()
            # Channels stay apart here: FFmpeg would add them up by power, 3 dB louder and beyond 1.0.
            # And side by side: of eight in planes PyAV 18 reads a ninth, which is not there.
            self._resampler = av.audio.resampler.AudioResampler("flt", frame.layout.name, SAMPLE_RATE)
            self._format = form
        frame.pts = None  # time is counted in samples; stamps of the sender may jump
        return np.concatenate([rest, *self._run(frame)])

    def flush(self) -> Samples:
        """What the filter still holds, at the end of the stream."""
        if self._resampler is None:
            return np.empty(0, np.float32)
        chunks = self._run(None)
        self._resampler = self._format = None
        return np.concatenate(chunks) if chunks else np.empty(0, np.float32)

    def _run(self, frame: Any) -> list[Samples]:
        return [
            out.to_ndarray().reshape(-1, out.layout.nb_channels).mean(axis=1)
            for out in self._resampler.resample(frame)
        ]


def read_audio(path: Path) -> Iterator[Samples]:
    """The first audio stream of a file, in chunks as they are decoded. Blocks; not for the event loop.

    Raises:
        BadAudio: there is no such file, it has no audio, or it cannot be decoded.
    """
    try:
        with path.open("rb") as file:
            yield from decode_audio(file)
    except OSError as error:
        raise BadAudio(f"{path}: {error.strerror or 'it cannot be read'}") from error
    except BadAudio as error:
        raise BadAudio(f"{path}: {error}") from error


def decode_audio(file: BinaryIO) -> Iterator[Samples]:
    """The first audio stream of a seekable file, in chunks of any length, as they are decoded. Blocks.

    Packets that are damaged become silence, as long as they are few.

    Raises:
        BadAudio: it is empty or no audio, in a form that is not read here, of an impossible rate or of more
            than eight channels, it holds numbers that are none (NaN, infinity), it is damaged, or it was cut
            off. What could be decoded has been given by then.
    """
    if not file.read(1):
        raise BadAudio("the file is empty")
    _check_riff(file)
    try:
        with _open(file) as container:
            yield from _Track(container).decode()
    except (av.error.FFmpegError, ValueError) as error:  # PyAV raises both for what it cannot read
        # Not its message: that may quote the file, and says nothing to who sent it.
        raise BadAudio(NO_AUDIO) from error


def _check_riff(file: BinaryIO) -> None:
    """FFmpeg takes a WAV that was cut off for a shorter one; its header tells.

    A program that writes into a pipe does not know the length, and puts nothing or the most there.
    """
    file.seek(0)
    head = file.read(8)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    told = int.from_bytes(head[4:], "little") + len(head)
    if head.startswith(b"RIFF") and told < RIFF_UNKNOWN and told - size > MISSING_SHARE * told:
        raise BadAudio(CUT_OFF)


def _open(file: BinaryIO) -> Any:
    return av.open(
        _Anonymous(file),
        metadata_errors="replace",  # tags are in any encoding; nobody reads them here
        container_options={
            "format_whitelist": ",".join(sorted(CONTAINERS)),
            "codec_whitelist": ",".join(sorted(CODECS)),
            "protocol_whitelist": "none",
            "max_streams": str(MAX_STREAMS),
        },
        io_open=_refuse,
    )


def _refuse(url: str, flags: int, options: object) -> NoReturn:
    """A file that asks for another one."""
    raise BadAudio("this file only names others: send the audio itself")


class _Anonymous:
    """A file without the name by which FFmpeg would guess what is in it."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)[:size]  # PyAV copies whatever comes into a buffer of that size


@dataclass(slots=True)
class _Tally:
    packets: int = 0
    damaged: int = 0
    samples: int = 0
    form: tuple[int, int] = (0, 0)
    changes: int = 0

    @property
    def is_damaged(self) -> bool:
        return self.damaged > MAX_DAMAGED * self.packets

    @property
    def is_absurd(self) -> bool:
        is_dense = self.packets > DENSE_FREE + MAX_DENSE * self.samples / SAMPLE_RATE
        return is_dense or self.changes > MAX_CHANGES


class _Track:
    """The first audio stream of an open container."""

    def __init__(self, container: Any) -> None:
        if not container.streams.audio:
            raise BadAudio("there is no sound in this file: it has no audio stream")
        self._container = container
        self._stream = container.streams.audio[0]
        codec = self._stream.codec_context
        if codec is None or codec.codec.name not in CODECS:
            raise BadAudio(
                "its sound is coded in a way that is not read here: convert it to WAV, FLAC or MP3"
            )
        codec.thread_count, codec.thread_type = 1, "NONE"
        _check_form(codec.sample_rate, codec.channels)
        self._resampler = MonoResampler()
        self._tally = _Tally()

    def decode(self) -> Iterator[Samples]:
        """All of it, as of :func:`decode_audio`."""
        for packet in self._packets():
            for chunk in self._decode(packet):
                if len(chunk):
                    self._tally.samples += len(chunk)
                    yield _sound(chunk)
        rest = self._resampler.flush()
        if len(rest):
            self._tally.samples += len(rest)
            yield _sound(rest)
        self._check_end()

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except IndexError:
            # At its end PyAV 18 looks for streams that turned up only while it read. Ours came before them.
            return

    def _decode(self, packet: Any) -> list[Samples]:
        tally = self._tally
        tally.packets += 1
        if packet.size > MAX_PACKET:
            raise BadAudio("a part of it is absurdly long: the file is damaged")
        if tally.is_absurd:
            raise BadAudio("it is cut into absurdly small pieces: convert it to WAV, FLAC or MP3")
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            tally.damaged += 1
            if tally.damaged > DAMAGED_FREE and tally.is_damaged:
                raise BadAudio("much of it cannot be decoded: the file is damaged") from None
            return [self._resampler.flush(), _silence(packet)]
        return [self._resample(frame) for frame in frames]

    def _resample(self, frame: Any) -> Samples:
        _check_form(frame.sample_rate, frame.layout.nb_channels)
        if frame.samples > MAX_FRAME_S * frame.sample_rate:
            raise BadAudio("a part of it is absurdly long: the file is damaged")
        form = frame.sample_rate, frame.layout.nb_channels
        if form != self._tally.form:
            self._tally.form = form
            self._tally.changes += 1
        return self._resampler.push(frame)

    def _check_end(self) -> None:
        tally = self._tally
        if tally.is_damaged:
            raise BadAudio("much of it cannot be decoded: the file is damaged")
        if not tally.samples:
            raise BadAudio("there is no sound in this file: its audio stream is empty")
        names = set(self._container.format.name.split(","))
        if not names & SIZED_CONTAINERS or not self._stream.duration:
            return
        told_s = float(self._stream.duration * self._stream.time_base)
        missing_s = told_s - tally.samples / SAMPLE_RATE
        if missing_s > max(MISSING_S, MISSING_SHARE * told_s):
            raise BadAudio(CUT_OFF)


def _check_form(rate: int, channels: int) -> None:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise BadAudio(f"its sample rate is {rate} Hz; from {MIN_RATE} to {MAX_RATE} Hz are read")
    if not 1 <= channels <= MAX_CHANNELS:
        raise BadAudio(f"it has {channels} channels; 1 to {MAX_CHANNELS} are read: mix it down")


def _silence(packet: Any) -> Samples:
    seconds = float((packet.duration or 0) * (packet.time_base or 0))
    return np.zeros(round(min(max(0.0, seconds), MAX_PATCH_S) * SAMPLE_RATE), np.float32)


def _sound(chunk: Samples) -> Samples:
    """Held to [-1, 1]: floating point samples may be anything, and decoders overshoot."""
    if not np.isfinite(chunk).all():
        raise BadAudio("some of its samples are no numbers (NaN or infinite): export it anew")
    return np.clip(chunk, -1.0, 1.0)
