from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.companding import compress
from signaling.audio_format import AudioFormat
from signaling.telephony.asterisk.conversation import (
    Act,
    Conversation,
    Hear,
    Identified,
    Mislabelled,
    Over,
    Pressed,
)
from signaling.telephony.asterisk.frames import HANG_UP, RATES
from tests.signaling.telephony.asterisk.talk import CALL_ID, audio, cuts, frame, linear, name, voice

SPEECH = linear(voice(0.5))
NARROW = AudioFormat("pcm_s16le", 8_000, 1)


def hear(stream: bytes) -> list[Act]:
    talk = Conversation()
    return [*talk.receive(stream), *talk.finish()]


def heard(acts: list[Act]) -> bytes:
    return b"".join(act.data for act in acts if isinstance(act, Hear))


def test_a_call() -> None:
    acts = hear(name() + audio(SPEECH) + frame(0x03, b"5") + audio(SPEECH) + HANG_UP)
    assert acts[0] == Identified(CALL_ID)
    assert heard(acts) == SPEECH * 2
    assert [act for act in acts[1:] if not isinstance(act, Hear)] == [Pressed("5"), Over("hangup")]
    assert {act.form for act in acts if isinstance(act, Hear)} == {NARROW}


def test_the_end_of_the_stream_is_a_hang_up_and_the_last_frame_counts_as_far_as_it_goes() -> None:
    stream = name() + audio(SPEECH) + frame(0x10, SPEECH[:320])[:-19]
    acts = hear(stream)
    assert heard(acts) == SPEECH + SPEECH[:300]  # half a sample is none
    assert acts[-1] == Over("hangup")


@pytest.mark.parametrize(("kind", "rate"), RATES.items())
def test_every_kind_of_audio_has_its_rate(kind: int, rate: int) -> None:
    acts = hear(name() + audio(SPEECH, 640, kind))
    assert heard(acts) == SPEECH
    assert {act.form for act in acts if isinstance(act, Hear)} == {AudioFormat("pcm_s16le", rate, 1)}


@pytest.mark.parametrize(("law", "size"), [("mulaw", 160), ("alaw", 160), ("mulaw", 240)])
def test_audio_of_a_telephone_under_the_wrong_label_is_told_once_and_read_as_what_it_is(
    law: str, size: int
) -> None:
    said = compress(voice(0.6), "mulaw" if law == "mulaw" else "alaw")
    acts = hear(name() + audio(said, size))
    assert [act for act in acts if isinstance(act, Mislabelled)] == [Mislabelled(law)]
    assert acts[1] == Mislabelled(law)
    assert heard(acts) == said
    assert {act.form for act in acts if isinstance(act, Hear)} == {AudioFormat(law, 8_000, 1)}


def test_a_call_too_short_to_tell_is_what_its_label_says() -> None:
    assert heard(hear(name() + audio(SPEECH[:320]))) == SPEECH[:320]


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\x01\x00",
        frame(0x01, bytes(15)),
        frame(0x01, bytes(17)),
        frame(0x10, bytes(16)),
        frame(0x00),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
    ],
)
def test_who_does_not_begin_with_a_name_is_none_of_ours(stream: bytes) -> None:
    assert hear(stream) == [Over("malformed")]


def test_a_frame_that_is_too_long_ends_the_call_after_what_came_before() -> None:
    acts = hear(name() + audio(SPEECH) + frame(0x10, bytes(16_385)) + audio(SPEECH))
    assert heard(acts) == SPEECH
    assert acts[-1] == Over("malformed")


def test_an_error_of_asterisk_ends_the_call() -> None:
    assert hear(name() + frame(0xFF, b"\x02") + audio(SPEECH))[1:] == [Over("error")]


def test_what_is_not_known_is_skipped() -> None:
    acts = hear(name() + frame(0x02, b"later") + frame(0x03, b"12") + frame(0x03) + audio(SPEECH))
    assert heard(acts) == SPEECH
    assert not [act for act in acts if isinstance(act, Pressed)]


@given(st.sampled_from([b"", name()]), st.binary(max_size=1_500), st.data())
def test_any_bytes_in_any_chunks_are_the_same_and_never_raise(
    start: bytes, rest: bytes, data: st.DataObject
) -> None:
    stream = start + rest
    talk = Conversation()
    acts = [act for chunk in data.draw(cuts(stream)) for act in talk.receive(chunk)]
    acts += talk.finish()
    assert acts == hear(stream)
    assert [type(act) for act in acts].count(Over) == 1
    assert isinstance(acts[-1], Over)
    assert talk.receive(name()) == []
    assert talk.finish() == []


@given(st.data())
def test_a_call_is_the_same_in_any_chunks(data: st.DataObject) -> None:
    said = compress(voice(0.2), "mulaw")
    stream = name() + audio(said, 160) + frame(0x03, b"#") + audio(SPEECH, 320, 0x12) + HANG_UP
    talk = Conversation()
    acts = [act for chunk in data.draw(cuts(stream)) for act in talk.receive(chunk)]
    assert acts == hear(stream)
