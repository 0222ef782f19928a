"""What comes for a leg is decoded in the form that was stated, and in no other."""

from __future__ import annotations

import numpy as np
import pytest

from rtc_stt.companding import compress
from signaling.audio_format import AudioFormat
from signaling.telephony.streams.leg_audio import LegAudio
from signaling.telephony.streams.stream_dialect import Form, Hear, Packets
from tests import rtp
from tests.e2e.support import clips, resample
from tests.signaling.telephony.streams.golden import b64, open_dialect, say

RATE = 8_000


@pytest.fixture(scope="module")
def speech():
    """Of a person, at 8 kHz."""
    return resample(next(clips("digits")).audio, RATE)


def decode(form: Form, payloads: list[bytes]) -> np.ndarray:
    audio = LegAudio()
    out = [
        samples
        for data in payloads
        for piece, _ in audio.cut(form, data)
        for samples in [audio.decode(piece)]
    ]
    return np.concatenate([samples for samples in out if samples is not None])


def snr_db(heard: np.ndarray, said: np.ndarray) -> float:
    """How clean it is, whatever the delay of the filters."""
    wide = resample(said, 16_000, of=RATE)
    best = -np.inf
    for delay in range(80):
        n = min(len(heard) - delay, len(wide))
        error = heard[delay : delay + n] - wide[:n]
        best = max(best, 10 * np.log10(np.mean(wide[:n] ** 2) / np.mean(error**2)))
    return best


def test_a_law_is_clean_where_mu_law_is_the_default(speech):
    data = compress(speech, "alaw")
    dialect = open_dialect("twilio")
    fields = {"mediaFormat": {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1}}
    say(dialect, {"event": "start", "start": fields})
    acts = [
        act
        for n, start in enumerate(range(0, len(data), 160))
        for act in say(
            dialect,
            {"event": "media", "media": {"chunk": str(n + 1), "payload": b64(data[start : start + 160])}},
        )
    ]
    assert all(isinstance(act, Hear) and act.form == AudioFormat("alaw", RATE, 1) for act in acts)
    heard = decode(acts[0].form, [act.data for act in acts])
    wrong = decode(AudioFormat("mulaw", RATE, 1), [act.data for act in acts])
    assert snr_db(heard, speech) > 25
    assert snr_db(wrong, speech) < 5, "as mu-law this would be static"


@pytest.mark.parametrize("cut", [1, 7, 160, 10_000])
def test_samples_may_come_apart_anywhere(speech, cut):
    data = (speech[:4_000] * 32_767).astype("<i2").tobytes()
    form = AudioFormat("pcm_s16le", RATE, 1)
    whole = decode(form, [data])
    parts = decode(form, [data[start : start + cut] for start in range(0, len(data), cut)])
    assert len(whole) == len(parts)
    assert np.allclose(whole, parts, atol=1e-6)
    assert snr_db(whole, speech[:4_000]) > 25


@pytest.mark.parametrize(("codec", "name"), [("G722", "g722"), ("opus", "libopus")])
def test_packets_are_decoded_one_by_one(codec, name):
    tone = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)
    payloads = rtp.encode(tone, codec=name)
    heard = decode(Packets(codec), payloads)
    assert abs(len(heard) - 16_000) <= 640
    spectrum = np.abs(np.fft.rfft(heard[4_000:12_000]))
    assert abs(int(spectrum.argmax()) * 16_000 / 8_000 - 440) < 4


def test_what_is_no_packet_is_counted_and_the_next_one_is_heard():
    audio = LegAudio()
    assert audio.cut(Packets("opus"), b"") == []
    assert audio.cut(Packets("G722"), b"x" * 10_000) == []
    assert audio.bad == 2
    assert [seconds for _, seconds in audio.cut(Packets("G722"), b"\x00" * 160)] == [0.02]


def test_a_form_that_changes_is_followed(speech):
    audio = LegAudio()
    for form, data in (
        (AudioFormat("mulaw", RATE, 1), compress(speech[:800], "mulaw")),
        (AudioFormat("alaw", RATE, 1), compress(speech[:800], "alaw")),
    ):
        ((piece, seconds),) = audio.cut(form, data)
        assert seconds == pytest.approx(0.1)
        assert audio.decode(piece) is not None
