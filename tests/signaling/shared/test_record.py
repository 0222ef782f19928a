"""What of a session is written down: it comes back as it was, and noise comes back as nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.config import StreamOptions, change_stream_options, option_changes
from rtc_stt.events import Event, Pong, SpeechStarted
from rtc_stt.handover import Sheet
from rtc_stt.wire import encode_event
from signaling.shared.record import (
    MAX_KEPT,
    Kept,
    Record,
    digest,
    hand_over,
    is_of,
    node_of,
    read_events,
    read_record,
    session_of,
    write_record,
)

NAMES = (b"node", b"life", b"token", b"body")
counts = st.integers(0, 2**50)
TOKEN = "a.session~secret"


def pong(seq: int) -> Pong:
    return Pong(at_ms=seq * 10, seq=seq, id="")


@st.composite
def records(draw: st.DrawFn) -> Record:
    return Record(
        session_id="a.session",
        node=draw(st.from_regex(r"[a-z0-9]{1,24}", fullmatch=True)),
        life="life",
        token=digest(TOKEN),
        key_id=draw(st.text(max_size=20)),
        nonce=draw(st.binary(max_size=16)).hex(),
        transport=draw(st.sampled_from(["webrtc", "websocket"])),
        began=draw(st.integers(0, 10**10)) / 1000,
        connected=draw(st.booleans()),
        seconds=draw(st.integers(0, 10**9)) / 1000,
        settled=draw(counts),
        lasts_ms=draw(st.integers(0, 10**7)),
        sheet=Sheet(
            seq=draw(counts),
            position=draw(counts),
            utterances=draw(counts),
            options=draw(
                st.dictionaries(st.text(max_size=5), st.booleans() | st.text(max_size=9), max_size=3)
            ),
            muted=draw(st.booleans()),
        ),
    )


def fields_of(record: Record) -> dict[bytes, bytes]:
    return {name: text.encode() for name, text in zip(NAMES, write_record(record), strict=True)}


@given(records())
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert read_record(record.session_id, fields_of(record)) == record
    assert TOKEN not in str(write_record(record)), "the token itself is nowhere"
    assert is_of(record, TOKEN)
    assert not is_of(record, TOKEN + "x")


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=60), max_size=4))
def test_noise_is_no_record(fields: dict[bytes, bytes]) -> None:
    assert read_record("a.x", fields) is None


@given(
    records(),
    st.sampled_from(["key", "seq", "position", "options", "muted", "nonce", "began", "lasts_ms"]),
    st.sampled_from([None, -1, 1.5, "x", [], {}, True, 2**60, 1e300]),
)
def test_a_field_of_another_kind_makes_it_none_or_stays_harmless(
    record: Record, name: str, value: Any
) -> None:
    fields = fields_of(record)
    body = json.loads(fields[b"body"]) | {name: value}
    read = read_record("a.session", fields | {b"body": json.dumps(body).encode()})
    if read is not None:
        assert type(value) is type(json.loads(fields[b"body"])[name]) or name == "began"


def test_a_huge_body_is_not_read() -> None:
    body = b'{"key": "' + b"x" * 100_000 + b'"}'
    assert read_record("a.x", {b"node": b"a", b"life": b"l", b"token": b"t", b"body": body}) is None


@pytest.mark.parametrize(
    ("token", "session_id"),
    [
        ("a.w0-x_Y~secret", "a.w0-x_Y"),
        ("a.x~", None),
        ("a.x", None),
        ("~secret", None),
        ("w0-abc", None),
        ("A.x~s", None),
        ("a.x:y~s", None),
        ("a." + "x" * 65 + "~s", None),
        ("a.*~s", None),
        ("a.x\n~s", None),
    ],
)
def test_a_token_names_its_session(token: str, session_id: str | None) -> None:
    assert session_of(token) == session_id
    assert node_of(session_id or token) == ("a" if session_id else node_of(token))


# ── Events ──


@given(st.lists(st.one_of(st.integers(0, 5), st.just("flush"), st.just("forget")), max_size=60))
def test_redis_has_what_is_not_acknowledged(steps: list[int | str]) -> None:
    """Whatever comes between: a number adds so many events and acknowledges some."""
    kept, there, seq, acknowledged = Kept(), list[bytes](), 0, 0

    def flush() -> None:
        anew, off, lines = kept.take()
        if anew:
            there.clear()
        del there[:off]
        there.extend(lines)

    for step in [*steps, "flush"]:
        if step == "flush":
            flush()
            assert [event.seq for event in read_events(there)] == list(range(acknowledged + 1, seq + 1))
        elif step == "forget":
            kept.forget()
            there[:] = [b"stale"]
        else:
            for _ in range(int(step)):
                seq += 1
                kept.add(pong(seq))
            acknowledged = max(acknowledged, seq - 3)
            kept.acknowledge(acknowledged)


def test_who_never_acknowledges_costs_no_more() -> None:
    kept = Kept()
    for seq in range(1, 2 * MAX_KEPT):
        kept.add(pong(seq))
        if seq % 100 == 0:
            kept.take()
    _, off, lines = kept.take()
    assert len(lines) + off <= 2 * MAX_KEPT
    assert sum(len(line) for line in Kept().take()[2]) == 0


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_noise_is_no_event(lines: list[bytes]) -> None:
    told = [encode_event(pong(2)).encode(), *lines, encode_event(pong(1)).encode()]
    assert [event.seq for event in read_events(told)] == [1, 2]


# ── Going on ──


def written(seq: int, *, utterances: int = 3, position: int = 160_000) -> Record:
    sheet = Sheet(seq=seq, position=position, utterances=utterances)
    return Record(session_id="a.x", node="a", life="l", token="t", key_id="open", sheet=sheet)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 40), st.integers(0, 20))
def test_numbers_go_on_behind_what_the_client_will_have_seen(
    recorded: int, seen: int, first: int, count: int
) -> None:
    events = [pong(seq) for seq in range(first, first + count) if seq]
    handover = hand_over(written(recorded), events, seen, 500, None)
    behind = [event.seq for event in handover.events]
    assert behind == list(range(handover.seq + 1, handover.seq + 1 + len(behind)))
    assert all(seq > seen for seq in behind)
    assert handover.seq >= seen
    if handover.are_all and handover.seq == seen:
        assert max([seen, *behind]) >= recorded, "nothing is said to be whole that is not"


def test_media_time_and_utterances_go_on() -> None:
    event: Event = SpeechStarted(at_ms=10_000, seq=41, utterance_id=7, audio_start_ms=9_900)
    handover = hand_over(written(40), [event], 40, 1_500, None)
    assert handover.position == 160_000 + 24_000, "as if the line had been dead"
    assert handover.utterances == 7
    assert handover.events == (event,)
    stale = hand_over(written(40), [], 50, 1_500, 150_000)
    assert stale.position == 150_000, "where its client says again what it has said"
    assert stale.utterances >= 13, "each of ten events may have begun one"
    forged = hand_over(written(40), [], 2**53, 1_500, None)
    assert forged.seq == 40


def test_options_are_written_as_a_configure() -> None:
    defaults, languages = StreamOptions(), frozenset({"en", "es"})
    wanted = {
        "language": "en",
        "hotwords": "x",
        "languages": ["en", "es"],
        "endpointing": {"min_silence_ms": 900},
        "partials": False,
    }
    options, problems = change_stream_options(defaults, defaults, wanted, languages)
    assert not problems
    changes = option_changes(options, defaults)
    assert changes == json.loads(json.dumps(wanted))
    assert change_stream_options(defaults, defaults, changes, languages) == (options, [])
    assert option_changes(defaults, defaults) == {}
