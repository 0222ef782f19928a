"""Bodies of ``POST /v1/transcribe`` that are wrong, in every way that we could think of."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np

__all__ = ["Body", "bombs", "form", "names", "no_audio", "part", "playlists", "silent_flac", "wrong_forms"]

BOUNDARY = "a-boundary-of-tests"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
MB = 2**20


@dataclass(frozen=True, slots=True)
class Body:
    """One request, and the statuses it may have."""

    name: str
    data: bytes = field(repr=False)
    statuses: frozenset[int] = frozenset({400})
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": MULTIPART})


def part(name: str, data: bytes, *, filename: str | None = None, kind: str = "") -> bytes:
    """One part of a form (RFC 7578)."""
    lines = [f'Content-Disposition: form-data; name="{name}"']
    if filename is not None:
        lines[0] += f'; filename="{filename}"'
    if kind:
        lines.append(f"Content-Type: {kind}")
    return f"--{BOUNDARY}\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + data + b"\r\n"


def form(audio: bytes, *, filename: str = "clip.wav", kind: str = "audio/wav", **fields: str) -> bytes:
    """A whole form with a recording."""
    rest = b"".join(part(name, value.encode()) for name, value in fields.items())
    return rest + part("audio", audio, filename=filename, kind=kind) + END


END = f"--{BOUNDARY}--\r\n".encode()


# ── What is no audio ────────────────────────────────────────────────────────


def no_audio(flac: bytes, m4a: bytes) -> Iterator[Body]:
    """Nothing that could be transcribed.

    Args:
        flac: a good recording.
        m4a: likewise; its index is at its end.
    """
    chance = random.Random(3)
    files = {
        "nothing": b"",
        "one byte": b"R",
        "text called a WAV": b"Dear Sir or Madam,\r\n" * 40,
        "HTML": b"<!doctype html><title>502</title>" * 20,
        "a JSON body": b'{"audio": "UklGRg=="}' * 20,
        "a picture": b"\x89PNG\r\n\x1a\n" + chance.randbytes(2_000),
        "an archive": _zipped(flac),
        "zeros": bytes(100_000),
        "noise, short": chance.randbytes(100),
        "noise": chance.randbytes(100_000),
        "a FLAC cut off in its header": flac[:30],
        "an M4A cut off before its index": m4a[: len(m4a) // 2],
        "a WAV cut off in its header": wav(bytes(100))[:30],
        "a WAV without a sample": wav(b""),
        "a WAV of 0 Hz": wav(bytes(3_200), rate=0),
        "a WAV of 4 GHz": wav(bytes(3_200), rate=2**32 - 1),
        "a WAV of no channel": wav(bytes(3_200), channels=0),
        "a WAV of 32 channels": wav(bytes(64_000), channels=32),
        "a WAV of 65,535 channels": wav(bytes(200_000), channels=65_535),
        "a WAV of 0 bits": wav(bytes(3_200), bits=0),
        "a WAV of an unknown codec": wav(bytes(3_200), codec=0x7A7A),
        "NaN": wav(np.full(16_000, np.nan, "<f4").tobytes(), codec=3, bits=32),
        "infinity": wav(np.full(16_000, np.inf, "<f4").tobytes(), codec=3, bits=32),
        "a film without sound": _film(),
    }
    for name, data in files.items():
        yield Body(name, form(data))


def wav(data: bytes, *, codec: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16) -> bytes:
    """A WAV file that says so of itself, whether it is true or not."""
    align = channels * bits // 8
    fmt = struct.pack("<HHIIHH", codec, channels, rate, (rate * align) & 0xFFFFFFFF, align & 0xFFFF, bits)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("clip.flac", data)
    return out.getvalue()


def _film() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream: Any = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
        file.mux(stream.encode(None))
    return out.getvalue()


# ── What is more than it seems ──────────────────────────────────────────────


def bombs(hours: float, limit_mb: float) -> Iterator[Body]:
    """A few kB that become hours, or megabytes, or say that they are.

    Args:
        hours: longer than the server takes.
        limit_mb: ``MAX_UPLOAD_MB`` of the server.
    """
    too_long = frozenset({413})
    seconds = round(3600 * hours)
    silence = bytearray(silent_flac(seconds))
    yield Body("hours of silence in a FLAC", form(bytes(silence)), too_long)
    # The 36 bits of the number of samples (RFC 9639 §8.2); 0: unknown.
    silence[21] &= 0xF0
    silence[22:26] = bytes(4)
    yield Body("hours of silence that nobody has announced", form(bytes(silence)), too_long)
    yield Body("hours at 1 Hz", form(wav(bytes([128]) * seconds, rate=1, bits=8)), frozenset({400, 413}))
    too_big = bytes(round((limit_mb + 1) * MB))
    yield Body("a form over the limit", form(too_big), too_long)
    yield Body("a field over the limit", part("prompt", too_big) + form(b"x"), frozenset({400, 413}))
    yield Body(
        "megabytes in a few kB of gzip",
        gzip.compress(form(too_big)),
        frozenset({400, 413, 415}),
        {"Content-Type": MULTIPART, "Content-Encoding": "gzip"},
    )


def silent_flac(seconds: int, *, rate: int = 2_000) -> bytes:
    """Silence is packed as one number for each minute."""
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as file:
        stream: Any = file.add_stream("flac", rate=rate, layout="mono", options={"frame_size": "65535"})
        for start in range(0, seconds, 3_600):
            size = min(3_600, seconds - start) * rate
            frame = av.AudioFrame.from_ndarray(np.zeros((1, size), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = rate, start * rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return out.getvalue()


# ── What is no form ─────────────────────────────────────────────────────────


def wrong_forms(good: bytes) -> Iterator[Body]:
    """A good recording in a form that is none, or asks for what there is not."""
    plain = {"Content-Type": MULTIPART}
    audio = part("audio", good, filename="clip.flac")
    whole = form(good)
    unsupported = frozenset({415})
    yield Body("no type", whole, unsupported, {"Content-Type": ""})
    yield Body("bare audio", good, unsupported, {"Content-Type": "audio/flac"})
    yield Body("JSON", b'{"audio": ""}', unsupported, {"Content-Type": "application/json"})
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    yield Body("urlencoded", b"audio=abc", unsupported, urlencoded)
    yield Body("no boundary", whole, frozenset({400, 415}), {"Content-Type": "multipart/form-data"})
    mixed = {"Content-Type": f"multipart/mixed; boundary={BOUNDARY}"}
    yield Body("multipart/mixed", whole, frozenset({400, 415}), mixed)
    long = {"Content-Type": f"multipart/form-data; boundary={'x' * 500}"}
    yield Body("an endless boundary", whole, headers=long)
    for name, data in {
        "another boundary": whole.replace(BOUNDARY.encode(), b"something-else"),
        "cut off in a part": whole[: len(whole) // 2],
        "no last boundary": whole.removesuffix(END),
        "nothing at all": b"",
        "no part": END,
        "no audio": part("language", b"en") + END,
        "audio twice": audio + audio + END,
        "a field twice": part("language", b"en") + part("language", b"de") + audio + END,
        "an unknown field": part("colour", b"blue") + audio + END,
        "a field without a name": part("", b"x") + audio + END,
        "an unknown language": form(good, language="tlh"),
        "a language that is no text": part("language", b"\xff\xfe") + audio + END,
        "perhaps word times": form(good, word_timestamps="perhaps"),
        "an unknown format": form(good, response_format="pdf"),
        "an unknown way to fail": form(good, on_fallback_failure="cry"),
        "to cut or not": form(good, cut="2"),
        "a prompt without end": form(good, prompt="x" * 100_000),
        "10,000 fields": b"".join(part(f"f{n}", b"") for n in range(10_000)) + audio + END,
        "a header without end": part("x" * 200_000, b"") + audio + END,
        "a form in the form": part("audio", whole, filename="a", kind=MULTIPART) + END,
    }.items():
        yield Body(name, data, frozenset({400, 413}), plain)


def names(good: bytes) -> Iterator[Body]:
    """A good recording by names that lead elsewhere; they lead nowhere."""
    for name in (
        "../../../../etc/passwd",
        "/etc/passwd",
        "C:\\Windows\\system32\\config",
        "http://127.0.0.1:1/x.wav",
        "concat:/etc/passwd|/etc/hostname",
        "file:///etc/passwd",
        "-i",
        "%2e%2e%2fx",
        "x" * 4_000,
        "$(touch x).wav",
        "ünïcödé.wav",
        "",
    ):
        yield Body(name[:40], form(good, filename=name, kind="text/plain"), frozenset({200}))


def playlists(url: str, path: str) -> Iterator[Body]:
    """Files that tell FFmpeg to look elsewhere: on this machine, or in its network.

    Args:
        url: that nobody may ask.
        path: of a good recording that nobody may read.
    """
    port = url.rpartition(":")[2].partition("/")[0]
    m3u8 = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT10S"><Period><AdaptationSet mimeType="audio/mp4">'
        '<Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    texts = {
        "HLS to a URL": m3u8.format(url),
        "HLS to a file": m3u8.format(f"file://{path}"),
        "HLS to a path": m3u8.format(path),
        "HLS to a concatenation": m3u8.format(f"concat:{path}|{url}"),
        "HLS with a key elsewhere": m3u8.replace(
            "#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF'
        ).format("data:audio/wav;base64,UklGRg=="),
        "HLS to a playlist": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n",
        "a concat script": f"ffconcat version 1.0\nfile '{path}'\n",
        "a concat script to a URL": f"ffconcat version 1.0\nfile '{url}'\n",
        "DASH": mpd.format(url),
        "DASH to a file": mpd.format(f"file://{path}"),
        "SDP": f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\n",
        "a RealMedia reference": f"{url}\n",
        "an ASX": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
        "a PLS": f"[playlist]\nNumberOfEntries=1\nFile1={url}\n",
        "an ASF reference": f"[Reference]\r\nRef1={url}\r\n",
        "a bare path": path,
        "a lavfi graph": "sine=frequency=440:duration=10",
        "SMIL": f'<smil><body><audio src="{url}"/></body></smil>',
    }
    for name, text in texts.items():
        yield Body(name, form(text.encode(), filename="list.m3u8", kind="application/vnd.apple.mpegurl"))
