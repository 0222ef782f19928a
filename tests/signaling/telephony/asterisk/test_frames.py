from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.asterisk.frames import HANG_UP, MAX_PAYLOAD, Frame, FrameReader, Kind
from tests.signaling.telephony.asterisk.talk import cuts, frame


def read(reader: FrameReader, chunks: list[bytes]) -> list[Frame]:
    found = []
    for chunk in chunks:
        reader.receive(chunk)
        while one := reader.next_frame():
            found.append(one)
    return found


frames = st.builds(Frame, st.integers(0, 255), st.binary(max_size=400))


@given(st.lists(frames, max_size=8), st.binary(max_size=2), st.data())
def test_what_was_sent_is_read_however_it_is_cut(sent: list[Frame], rest: bytes, data: st.DataObject) -> None:
    stream = b"".join(frame(f.kind, f.payload) for f in sent) + rest
    assert read(FrameReader(MAX_PAYLOAD), data.draw(cuts(stream))) == sent


@given(st.binary(max_size=2_000), st.integers(0, 300), st.data())
def test_any_bytes_give_the_same_frames_in_any_chunks(stream: bytes, limit: int, data: st.DataObject) -> None:
    whole, cut = FrameReader(limit), FrameReader(limit)
    expected = read(whole, [stream])
    assert read(cut, data.draw(cuts(stream))) == expected
    assert cut.is_broken == whole.is_broken
    assert all(len(f.payload) <= limit for f in expected)
    assert cut.flush() == whole.flush()


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=40))
def test_less_than_one_frame_is_held(chunks: list[bytes]) -> None:
    reader = FrameReader(100)
    for chunk in chunks:
        read(reader, [chunk])
        assert len(reader._data) - reader._at < 3 + 100


def test_a_frame_over_the_limit_ends_it() -> None:
    reader = FrameReader(16)
    assert read(reader, [frame(Kind.ID, bytes(17)), frame(Kind.ID, bytes(16))]) == []
    assert reader.is_broken
    assert reader.flush() is None


def test_the_limit_is_of_the_next_frame() -> None:
    reader = FrameReader(16)
    reader.receive(frame(Kind.ID, bytes(16)) + frame(0x10, bytes(320)))
    assert reader.next_frame() == Frame(Kind.ID, bytes(16))
    reader.limit = MAX_PAYLOAD
    assert reader.next_frame() == Frame(0x10, bytes(320))
    assert reader.next_frame() is None


def test_what_was_cut_off_is_there_at_the_end() -> None:
    reader = FrameReader(MAX_PAYLOAD)
    assert read(reader, [frame(0x10, b"abcd")[:-2]]) == []
    assert reader.flush() == Frame(0x10, b"ab")
    assert reader.flush() is None


def test_a_hang_up_is_three_zeros() -> None:
    assert read(FrameReader(MAX_PAYLOAD), [HANG_UP]) == [Frame(Kind.HANG_UP, b"")]
