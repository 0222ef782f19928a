"""Uploads: whatever a stranger sends is read within bounds, or refused in words that help."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import subprocess
import sys
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest

from rtc_stt import media
from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.errors import AudioTooLong, BadAudio, Gone
from rtc_stt.service.reader import CHUNK, read_recording
from tests.service.sound import encoded, float_wav, tone, wav

FORMS = [
    ("wav", "pcm_s16le", 8_000),
    ("wav", "pcm_mulaw", 8_000),
    ("w64", "pcm_s24le", 48_000),
    ("aiff", "pcm_s16be", 22_050),
    ("flac", "flac", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("ogg", "libopus", 48_000),
    ("webm", "libopus", 48_000),
    ("mp4", "aac", 44_100),
    ("mov", "alac", 44_100),
    ("mpegts", "aac", 48_000),
    ("amr", "libopencore_amrnb", 8_000),
    ("avi", "pcm_s16le", 16_000),
]


def read(data: bytes, max_audio_s: float = 60.0) -> Samples:
    return np.concatenate(list(read_recording(io.BytesIO(data), max_audio_s)))


def patched(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


# ── What is read ──


@pytest.mark.parametrize(("form", "codec", "rate"), FORMS, ids=lambda value: str(value))
def test_common_forms_are_read(form, codec, rate):
    audio = read(encoded(tone(2.0, rate), form, codec, rate))
    assert len(audio) / SAMPLE_RATE == pytest.approx(2.0, abs=0.08)
    middle = audio[SAMPLE_RATE // 2 : -SAMPLE_RATE // 2]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.35)  # a tone is hard for AMR


def test_a_film_has_a_sound_track():
    assert len(read(encoded(tone(2.0, 44_100), "mp4", "aac", 44_100, picture=True))) > 1.9 * SAMPLE_RATE


def test_the_name_and_type_of_a_file_do_not_matter(tmp_path):
    path = tmp_path / "list.m3u8"
    path.write_bytes(encoded(tone(1.0), "flac", "flac"))
    with path.open("rb") as file:
        assert sum(map(len, read_recording(file, 60))) == SAMPLE_RATE


def test_chunks_are_alike_whatever_the_frames_of_the_file(monkeypatch):
    audio = tone(5.3)
    chunks = list(read_recording(io.BytesIO(wav(audio)), 60))
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK] * (len(chunks) - 1)
    assert 0 < len(chunks[-1]) <= CHUNK
    for sizes in ([1, 7_000, 3], [3 * CHUNK + 5, 1]):

        def pieces(_: object, sizes: list[int] = sizes):
            at = 0
            while at < len(audio):
                size = sizes[at % len(sizes)]
                yield audio[at : at + size]
                at += size

        monkeypatch.setattr("rtc_stt.service.reader.decode_audio", pieces)
        again = list(read_recording(io.BytesIO(), 60))
        assert [len(chunk) for chunk in again] == [len(chunk) for chunk in chunks]
        np.testing.assert_array_equal(np.concatenate(again), audio)


def test_what_is_louder_than_possible_is_held_to_the_bounds():
    audio = read(float_wav(tone(1.0) * 1e30))
    assert np.abs(audio).max() == 1.0


@pytest.mark.parametrize("channels", range(1, 9))
def test_up_to_eight_channels_are_averaged(channels):
    audio = read(wav(tone(0.5), channels=channels))
    np.testing.assert_allclose(audio, tone(0.5), atol=1e-3)


def test_tags_in_any_encoding_are_no_matter():
    tag = b"TIT2" + struct.pack(">IH", 5, 0) + b"\x03\xff\xfe\xe4\xf6"  # said to be UTF-8
    head = b"ID3\x03\x00\x00" + struct.pack(">I", len(tag)) + tag
    assert len(read(head + encoded(tone(1.0, 44_100), "mp3", "libmp3lame", 44_100))) > 15_000


def test_a_scratch_becomes_silence_and_all_else_keeps_its_place():
    data = encoded(tone(4.0, 44_100), "mp4", "aac", 44_100)
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 3
    audio = read(patched(data, middle, b"\xff" * 200))
    assert len(audio) == pytest.approx(len(read(data)), abs=800)


# ── What is refused ──

WAV = wav(tone(2.0))
NAN, INF = struct.pack("<f", float("nan")), struct.pack("<f", float("-inf"))
FLOATS = float_wav(tone(2.0))
NOISE = np.random.default_rng(5).bytes(100_000)
BAD = {
    "empty": (b"", "empty"),
    "text": (b"What was said in confidence. " * 500, "no audio"),
    "noise": (NOISE, "no audio"),
    "noise behind a header": (WAV[:30] + NOISE, "no audio|sample rate|channels"),
    "zip": (b"PK\x03\x04" + NOISE, "no audio"),
    "html": (b"<html><body>What was said in confidence.</body></html>" * 100, "no audio"),
    "a header alone": (WAV[:44], "cut off"),
    "half a header": (WAV[:30], "cut off|no audio"),
    "half a WAV": (WAV[: len(WAV) // 2], "cut off"),
    "half a FLAC": (encoded(tone(2.0), "flac", "flac")[:10_000], "cut off|damaged"),
    "half an MP4": (encoded(tone(2.0, 44_100), "mp4", "aac", 44_100)[:10_000], "no audio|cut off"),
    "no samples": (wav(np.empty(0, np.float32)), "no sound"),
    "0 Hz": (patched(WAV, 24, bytes(4)), "no audio|sample rate"),
    "1 Hz": (patched(WAV, 24, struct.pack("<I", 1)), "sample rate"),
    "4 GHz": (patched(WAV, 24, b"\xff\xff\xff\x7f"), "no audio|sample rate"),
    "0 channels": (patched(WAV, 22, bytes(2)), "channels"),
    "32 channels": (wav(tone(0.5), channels=32), "32 channels"),
    "65535 channels": (patched(WAV, 22, b"\xff\xff"), "channels|no audio"),
    "NaN": (patched(FLOATS, 40_000, NAN), "NaN"),
    "infinite": (patched(FLOATS, 40_000, INF), "NaN"),
    "a picture alone": (
        encoded(np.empty(0, np.float32), "mp4", "aac", 44_100, picture=True), "no sound|no audio",
    ),
    "damaged all over": (
        b"".join(b"\xff\xf1\x50\x80\x2e\x7f\xfc" + NOISE[i : i + 364] for i in range(0, 60_000, 400)),
        "damaged|no audio|0 Hz",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_words_that_help(kind):
    data, words = BAD[kind]
    with pytest.raises(BadAudio, match=words) as caught:
        read(data)
    assert caught.value.status == 400
    assert "confidence" not in str(caught.value)
    assert "Errno" not in str(caught.value)


def test_a_wav_from_a_pipe_does_not_know_its_length():
    for size in (
        b"\xff\xff\xff\xff",
        bytes(4),
        struct.pack("<I", 0x7FFF_FFFF),
        struct.pack("<I", 0x8000_0024),
    ):
        assert len(read(patched(patched(WAV, 4, size), 40, size))) == 2 * SAMPLE_RATE


def test_a_frame_that_is_absurdly_long_is_refused(monkeypatch):
    monkeypatch.setattr(media, "MAX_FRAME_S", 0.01)
    with pytest.raises(BadAudio, match="absurdly long"):
        read(encoded(tone(2.0), "flac", "flac"))


def test_a_packet_that_is_absurdly_long_is_refused(monkeypatch):
    monkeypatch.setattr(media, "MAX_PACKET", 100)
    with pytest.raises(BadAudio, match="absurdly long"):
        read(WAV)


def test_a_file_of_absurdly_many_packets_is_refused(monkeypatch):
    monkeypatch.setattr(media, "DENSE_FREE", 10)
    monkeypatch.setattr(media, "MAX_DENSE", 5)
    with pytest.raises(BadAudio, match="small pieces"):
        read(encoded(tone(2.0), "flac", "flac"))


def test_a_file_that_changes_for_ever_is_refused(monkeypatch):
    changing = encoded(tone(0.5), "adts", "aac") + encoded(tone(0.5, 8_000), "adts", "aac", 8_000)
    assert len(read(changing * 2)) == pytest.approx(2 * SAMPLE_RATE, rel=0.3)  # with the lead-in of each
    monkeypatch.setattr(media, "MAX_CHANGES", 10)
    with pytest.raises(BadAudio, match="small pieces"):
        read(changing * 10)


def test_a_header_that_claims_gigabytes_gets_none():
    """In a process of its own, whose memory is its own too."""
    claims = WAV[:36] + b"LIST\xff\xff\xff\x3fINFOISFT\xf0\xff\xff\x3f" + WAV[36:]
    code = (
        "import io, resource, sys\n"
        "from rtc_stt.errors import BadAudio\n"
        "from rtc_stt.service.reader import read_recording\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: list(read_recording(io.BytesIO(sys.stdin.buffer.read()), 60))\n"
        "except BadAudio: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", code], input=claims, capture_output=True, timeout=60)
    assert int(grown.stdout) < 64 * 1024  # in kB
    assert media._bound_memory()


def test_a_failure_of_the_disk_is_no_fault_of_the_file():
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 60_000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(OSError, match="Input/output"):
        list(read_recording(Broken(wav(tone(10.0))), 60))


WHOLE = [encoded(tone(0.5, rate), form, codec, rate) for form, codec, rate in FORMS]


@pytest.mark.slow
@pytest.mark.parametrize("data", WHOLE, ids=[form for form, *_ in FORMS])
def test_whatever_becomes_of_a_file_it_is_read_or_refused(data):
    random = Random(len(data))
    for _ in range(25):
        broken = bytearray(data)
        for _ in range(random.randint(1, 8)):
            at = random.randrange(len(broken) if random.random() < 0.4 else min(400, len(broken)))
            broken[at : at + 4] = random.choice([bytes(4), b"\xff" * 4, random.randbytes(4), b""])
        with contextlib.suppress(BadAudio, AudioTooLong):
            audio = read(bytes(broken))
            assert np.abs(audio).max(initial=0) <= 1


# ── How long ──


def test_hours_in_a_few_kilobytes_are_not_decoded():
    bomb = encoded(np.zeros(8_000 * 3_600, np.float32), "flac", "flac", 8_000)
    assert len(bomb) < 2**20
    got: list[int] = []
    file = io.BytesIO(bomb)
    with pytest.raises(AudioTooLong, match="longer than 30 s") as caught:
        got.extend(len(chunk) for chunk in read_recording(file, 30.0))
    assert caught.value.status == 413
    assert sum(got) <= 30 * SAMPLE_RATE
    assert file.tell() < len(bomb) / 2, "all of it was read"


def test_exactly_as_long_as_may_be_is_read():
    assert len(read(wav(tone(2.0)), 2.0)) == 2 * SAMPLE_RATE
    with pytest.raises(AudioTooLong):
        read(wav(tone(2.01)), 2.0)


# ── Nothing else is opened ──


@pytest.fixture
def secret(tmp_path) -> Path:
    """Sound that a list may name: whoever opens it has something to give."""
    path = tmp_path / "secret.wav"
    path.write_bytes(wav(np.zeros(3 * SAMPLE_RATE, np.float32)))
    return path


def lists(path: Path) -> dict[str, bytes]:
    url = f"file://{path}"
    return {
        "concat": f"ffconcat version 1.0\nfile '{path}'\n".encode(),
        "concat: line": f"concat:{path}|{path}\n".encode(),
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n".encode(),
        "m3u": f"#EXTM3U\n#EXTINF:9,x\n{path}\n".encode(),
        "pls": f"[playlist]\nFile1={path}\nNumberOfEntries=1\n".encode(),
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
        "dash": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
            f'<AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL>'
            "</Representation></AdaptationSet></Period></MPD>"
        ).encode(),
        "xspf": f'<?xml version="1.0"?><playlist><track><location>{url}</location></track>'.encode(),
        "mov with a reference": referring_mov(str(path)),
    }


def referring_mov(path: str) -> bytes:
    """A QuickTime file whose samples are said to be in another file."""
    data = encoded(tone(2.0), "mov", "pcm_s16le")
    at = data.index(b"dref") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    name = path.encode()
    alias = struct.pack(">I4sI", 12 + len(name), b"url ", 0) + name
    dref = struct.pack(">I4sII", 16 + len(alias), b"dref", 0, 1) + alias
    grown = len(dref) - size
    out = data[:at] + dref + data[at + size :]
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        box = out.index(name) - 4
        out = patched(out, box, struct.pack(">I", int.from_bytes(out[box : box + 4], "big") + grown))
    return out


@pytest.mark.parametrize("kind", lists(Path("x")))
def test_a_list_of_files_opens_none_of_them(kind, secret):
    data = lists(secret)[kind]
    if kind == "mov with a reference":
        assert np.abs(read(data)).max() > 0.2, "its own sound is heard, and not the other's"
    else:
        with pytest.raises(BadAudio):
            read(data)


def test_a_list_connects_to_nobody():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        for data in lists(Path("x")).values():
            with contextlib.suppress(BadAudio):
                read(data.replace(b"file://x", f"http://127.0.0.1:{port}/x.wav".encode()))
        with pytest.raises(TimeoutError):
            server.accept()


def test_even_a_form_that_opens_others_may_not(monkeypatch, secret):
    """The second lock, where the first one is open; and the third, where both are."""
    monkeypatch.setattr(media, "CONTAINERS", media.CONTAINERS | {"concat", "hls"})
    for kind in ("concat", "hls"):
        with pytest.raises(BadAudio, match=r"no audio|only names others"):
            read(lists(secret)[kind])


def test_all_forms_and_codecs_exist():
    names = {name for form in av.formats_available for name in form.split(",")}
    assert names >= media.CONTAINERS - {"amrnb", "amrwb"}
    known = {name for name in media.CODECS if name in av.codecs_available}
    assert len(known) > 60
    for name in known:
        assert av.Codec(name, "r").type == "audio"


# ── Whoever reads ──


def test_who_is_to_stop_stops_in_the_middle():
    stopped = False
    chunks = read_recording(io.BytesIO(wav(tone(20.0))), 60, lambda: stopped)
    next(chunks)
    stopped = True
    with pytest.raises(Gone):
        list(chunks)


def test_one_thread_decodes():
    with media._open(io.BytesIO(encoded(tone(1.0, 44_100), "mp3", "libmp3lame", 44_100))) as container:
        track = media._Track(container)
        list(track.decode())
        assert container.streams.audio[0].codec_context.thread_count == 1


def test_nothing_of_a_file_reaches_the_terminal(tmp_path):
    """In a process of its own: FFmpeg writes its log past Python."""
    for number, (data, _) in enumerate(BAD.values()):
        (tmp_path / f"{number:02}").write_bytes(data)
    code = (
        "import io, sys; from pathlib import Path\n"
        "from rtc_stt.errors import BadAudio\n"
        "from rtc_stt.service.reader import read_recording\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    try: list(read_recording(io.BytesIO(path.read_bytes()), 60))\n"
        "    except BadAudio: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == "refused\n" * len(BAD)
