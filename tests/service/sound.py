"""Files of sound for tests of whole recordings."""

from __future__ import annotations

import io
import wave
from fractions import Fraction

import av
import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples


def tone(seconds: float, rate: int = SAMPLE_RATE, pitch: float = 220.0) -> Samples:
    """A soft tone, shape ``(n,)``."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * pitch * t)).astype(np.float32)


def wav(audio: Samples, rate: int = SAMPLE_RATE, channels: int = 1) -> bytes:
    """16 bit PCM, the same on all channels."""
    pcm = np.round(np.clip(audio, -1, 1) * 32_767).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(pcm, channels).tobytes())
    return out.getvalue()


def float_wav(audio: Samples) -> bytes:
    """32 bit floating point."""
    return encoded(audio, "wav", "pcm_f32le")


def encoded(
    audio: Samples, form: str, codec: str, rate: int = SAMPLE_RATE, picture: bool = False, **options: str
) -> bytes:
    """Any container and codec that FFmpeg writes, mono; with a picture stream beside it if wanted."""
    out = io.BytesIO()
    with av.open(out, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        if picture:
            video = container.add_stream("mpeg4", rate=1)
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for number in range(max(1, len(audio) // rate)):
                image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
                image.pts, image.time_base = number, Fraction(1, 1)
                container.mux(video.encode(image))
            container.mux(video.encode(None))
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate)
        for start in range(0, len(audio), 1_024):
            frame = av.AudioFrame.from_ndarray(audio[None, start : start + 1_024], "fltp", "mono")
            frame.sample_rate, frame.pts = rate, start
            for piece in resampler.resample(frame):
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))
    return out.getvalue()
