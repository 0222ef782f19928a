"""JSON of strangers, and what they call their formats."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.audio_format import AudioFormat
from signaling.telephony.streams.reading import (
    ENCODINGS,
    find,
    first_of,
    read_base64,
    read_form,
    read_int,
    read_object,
)
from signaling.telephony.streams.stream_dialect import Packets

PCM_8, PCM_16 = AudioFormat("pcm_s16le", 8_000, 1), AudioFormat("pcm_s16le", 16_000, 1)


@pytest.mark.parametrize(
    ("told", "form"),
    [
        (("audio/x-mulaw", "8000", "1"), AudioFormat("mulaw", 8_000, 1)),
        (("PCMU",), AudioFormat("mulaw", 8_000, 1)),
        (("PCMA", "8000", "1"), AudioFormat("alaw", 8_000, 1)),
        (("audio/x-alaw;rate=8000",), AudioFormat("alaw", 8_000, 1)),
        (("G722", "8000", "1"), Packets("G722")),
        (("OPUS", "16000", "1"), Packets("opus")),
        (("L16", "16000"), PCM_16),
        (("audio/l16;rate=16000",), PCM_16),
        (("audio/L16; channels=1; rate=16000",), PCM_16),
        (("L16@24000h",), AudioFormat("pcm_s16le", 24_000, 1)),
        (("audio/x-l16", "8000"), PCM_8),
        (("audio/x-raw", "8000"), PCM_8),
        (("raw/slin", "16000"), PCM_16),
        (("base64", "8000"), PCM_8),
        (("LINEAR16", "8000"), PCM_8),
        (("LINEAR16", "16000", "2"), AudioFormat("pcm_s16le", 16_000, 2)),
    ],
)
def test_formats_are_read_as_they_are_stated(told, form):
    assert read_form(*told) == form


@pytest.mark.parametrize(
    "told",
    [
        ("AMR-WB", "16000"),
        ("audio/x-mulaw", "4000"),
        ("audio/x-mulaw", "8000", "3"),
        ("L16", "many"),
        ("L16", "-8000"),
        ("",),
        ("mp3",),
    ],
)
def test_what_is_not_decoded_here_is_not_guessed_at(told):
    assert read_form(*told) is None


def test_a_rate_that_is_told_nowhere_is_the_senders_usual_one():
    assert read_form("l16", default_rate=16_000) == PCM_16
    assert read_form("pcma", default_rate=16_000) == AudioFormat("alaw", 8_000, 1)


@given(st.text(), st.text(), st.text())
def test_whatever_is_stated_nothing_is_raised(encoding, rate, channels):
    read_form(encoding, rate, channels)


@given(st.sampled_from(sorted(ENCODINGS)), st.integers(), st.integers(0, 9))
def test_no_form_is_outside_the_limits(name, rate, channels):
    form = read_form(name, str(rate), str(channels))
    if isinstance(form, AudioFormat):
        assert 8_000 <= form.sample_rate <= 48_000
        assert form.channels in (1, 2)


@given(st.text() | st.integers(0).map(str) | st.decimals().map(str))
def test_numbers_are_whole_and_short(text):
    number = read_int(text)
    assert number is None or 0 <= number < 10**18


def test_numbers_as_carriers_write_them():
    assert [read_int(text) for text in ("20", "020", "20.0", "20.5", "-1", "", "1e3", "²", "9" * 19)] == [
        *(20, 20, 20),
        *[None] * 6,
    ]


@pytest.mark.parametrize(
    "text", ["", "[", "[" * 100_000, "1", "null", '"a"', "[]", "1" * 5_000, "NaN", '{"a":}', "\ud800"]
)
def test_what_is_no_object_is_none(text):
    assert read_object(text) is None


@given(st.text())
def test_any_text_is_an_object_or_none(text):
    read_object(text)


def test_places_are_looked_for_in_order():
    body = {"a": {"b": "", "c": 5, "d": True, "e": {"f": "x"}}, "g": "y"}
    assert first_of(body, "a.b", "a.c") == "5"
    assert first_of(body, "a.d", "a.e", "g.h", "a.e.f") == "x"
    assert first_of(body, "nowhere") == ""
    assert find(body, "a.e") == {"f": "x"}


@given(st.binary())
def test_base64_is_read_back(data):
    assert read_base64(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize("value", ["a", "ab=c", "a b=", "____", "é===", 5, None, ["YQ=="], "YQ==\n"])
def test_what_is_no_base64_is_none(value):
    assert read_base64(value) is None
