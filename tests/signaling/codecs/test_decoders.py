"""Payloads to 16 kHz mono."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.audio import Samples
from rtc_stt.bench.clips import load
from signaling.codecs import CODEC_NAMES, Codec, Decoder, decoder_for, libopus, opus_backend
from signaling.codecs.g711 import G711Decoder
from signaling.codecs.pyav import G722Decoder, PyAvOpusDecoder
from tests.rtp import encode

RATES = {"opus": 48_000, "G722": 8_000, "PCMU": 8_000, "PCMA": 8_000}


def tone(seconds: float, hertz: float = 300, rate: int = 16_000) -> Samples:
    return np.asarray(0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate), np.float32)


def payloads(name: str, audio: Samples) -> list[bytes]:
    """``audio`` at 16 kHz in a codec, 20 ms each."""
    if name == "opus":
        return encode(audio)
    if name == "G722":
        return encode(audio, codec="g722")
    return encode(audio[::2], codec={"PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}[name], rate=8_000)


def opus() -> libopus.OpusDecoder:
    library = libopus.load()
    assert library is not None
    return libopus.OpusDecoder(library)


DECODERS: dict[str, tuple[str, Callable[[], Decoder]]] = {
    "libopus": ("opus", opus),
    "PyAV": ("opus", PyAvOpusDecoder),
    "G722": ("G722", G722Decoder),
    "PCMU": ("PCMU", lambda: G711Decoder("PCMU")),
    "PCMA": ("PCMA", lambda: G711Decoder("PCMA")),
}

every_decoder = pytest.mark.parametrize(("name", "make"), DECODERS.values(), ids=DECODERS)


def delay(heard: Samples, said: Samples, most: int = 400) -> tuple[int, float]:
    """By how many samples ``heard`` is late, and how alike the two are then (normalised correlation)."""
    size = min(len(heard), len(said)) - most
    best = max(range(most), key=lambda by: float(np.dot(heard[by : by + size], said[:size])))
    a, b = heard[best : best + size], said[:size]
    return best, float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b) + 1e-12))


@every_decoder
def test_speech_is_heard_and_nothing_of_it_is_missing(name: str, make: Callable[[], Decoder]) -> None:
    (clip,) = load("clean", limit=1)
    said = clip.audio()
    decoder, pieces = make(), []
    for payload in payloads(name, said):
        samples = decoder.decode(payload)
        assert samples is not None
        assert samples.dtype == np.float32
        assert len(samples) == 320 == decoder.duration(payload) * 16_000 // RATES[name]
        assert np.abs(samples).max(initial=0) <= 1
        pieces.append(samples)
    late, alike = delay(np.concatenate(pieces), said)
    assert late < 320
    assert alike > 0.9


@every_decoder
def test_payloads_that_can_be_joined_decode_to_the_same(name: str, make: Callable[[], Decoder]) -> None:
    (clip,) = load("clean", limit=1)
    sent, alone, joined = payloads(name, clip.audio())[:50], make(), make()
    assert alone.joins == (name != "opus")
    if not alone.joins:
        return
    one_by_one = [alone.decode(payload) for payload in sent]
    by_twos = [joined.decode(b"".join(sent[n : n + 2])) for n in range(0, len(sent), 2)]
    heard = [piece for piece in one_by_one if piece is not None]
    np.testing.assert_array_equal(
        np.concatenate([p for p in by_twos if p is not None]), np.concatenate(heard)
    )
    assert len(heard) == len(sent)


@every_decoder
@pytest.mark.parametrize("count", [1, 40, 320, 333, 3_200])
def test_concealment_is_of_the_length_that_was_asked_for(
    name: str, make: Callable[[], Decoder], count: int
) -> None:
    decoder = make()
    assert len(decoder.conceal(count)) == count  # before anything was heard
    for payload in payloads(name, tone(0.2)):
        decoder.decode(payload)
    made = decoder.conceal(count)
    assert (len(made), made.dtype) == (count, np.float32)
    assert np.abs(made[-1:]).max() <= 1


@every_decoder
def test_concealment_goes_on_with_the_tone_and_ends_in_silence(
    name: str, make: Callable[[], Decoder]
) -> None:
    decoder = make()
    pieces = [decoder.decode(payload) for payload in payloads(name, tone(0.4))]
    before = np.concatenate([piece for piece in pieces if piece is not None])
    made = decoder.conceal(3_200)
    step = np.abs(np.diff(np.concatenate([before[-160:], made[:320]]))).max()
    assert step < 0.1  # a tone of 300 Hz moves 0.047 in a sample: no click
    assert np.sqrt(np.mean(made[:320] ** 2)) > 0.1
    assert np.sqrt(np.mean(made[-320:] ** 2)) < 0.1


@every_decoder
def test_what_is_malformed_is_refused_and_harms_nothing(name: str, make: Callable[[], Decoder]) -> None:
    decoder = make()
    assert decoder.duration(b"") == 0
    assert decoder.duration(bytes([0x7B]) * 4_000) == 0
    audio = tone(0.2)
    for payload in payloads(name, audio):
        decoder.decode(bytes([0x7B, 0xFF]))  # Opus: 63 frames
        samples = decoder.decode(payload)
        assert samples is not None
        assert len(samples) == 320


@every_decoder
@given(data=st.binary(min_size=1, max_size=60))
def test_nothing_that_comes_raises(name: str, make: Callable[[], Decoder], data: bytes) -> None:
    decoder = make()
    decoder.recoverable(data)
    if decoder.duration(data):
        decoder.decode(data)
        decoder.recover(data, 320)


def test_libopus_recovers_what_concealment_cannot() -> None:
    (clip,) = load("clean", limit=1)
    sent = encode(clip.audio())
    reference = opus()
    whole = [reference.decode(payload) for payload in sent]
    differences: dict[str, list[float]] = {"recovered": [], "concealed": []}
    for way in differences:
        decoder = opus()
        for number, payload in enumerate(sent[:-1]):
            truth = whole[number]
            assert truth is not None
            if number % 5 != 4 or not decoder.recoverable(sent[number + 1]):
                decoder.decode(payload)
                continue
            made = decoder.recover(sent[number + 1], 320) if way == "recovered" else decoder.conceal(320)
            assert made is not None
            differences[way].append(float(np.sum((made - truth) ** 2)))
    assert len(differences["recovered"]) > 10
    assert sum(differences["recovered"]) < 0.5 * sum(differences["concealed"])


def test_stereo_becomes_mono() -> None:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format, encoder.layout = 48_000, "s16", "stereo"  # type: ignore[attr-defined]
    left = (tone(0.5, rate=48_000) * 32767).astype(np.int16)
    heard, decoder = [], opus()
    for start in range(0, len(left), 960):
        pcm = np.stack([left[start : start + 960], np.zeros(960, np.int16)], axis=1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, start, Fraction(1, 48_000)
        heard += [decoder.decode(bytes(packet)) for packet in encoder.encode(frame)]  # type: ignore[attr-defined]
    audio = np.concatenate([samples for samples in heard if samples is not None])
    assert np.abs(audio[4_000:]).max() == pytest.approx(0.2, abs=0.03)


class TestBackend:
    def test_the_registry_knows_all_names(self) -> None:
        assert CODEC_NAMES == ("opus", "G722", "PCMU", "PCMA")
        for name in CODEC_NAMES:
            assert decoder_for(Codec(name, 96, RATES[name])).duration(payloads(name, tone(0.1))[0])
        with pytest.raises(KeyError):
            decoder_for(Codec("G729", 18, 8_000))

    def test_it_says_which_library(self) -> None:
        assert opus_backend().startswith("libopus")

    def test_the_library_of_pyav_serves_where_the_system_has_none(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = libopus._declare

        def declare(origin: str, name: str) -> libopus.Library:
            if origin == "system":
                raise OSError
            return real(origin, name)

        monkeypatch.setattr(libopus, "_declare", declare)
        library = libopus.load.__wrapped__()
        assert library is not None
        assert library.origin == "PyAV's wheel"
        (first, *_) = encode(tone(0.1))
        assert libopus.OpusDecoder(library).decode(first) is not None

    def test_without_a_library_pyav_decodes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(libopus, "load", lambda: None)
        assert isinstance(decoder_for(Codec("opus", 111, 48_000)), PyAvOpusDecoder)
        assert opus_backend() == "PyAV, without forward error correction"
