"""What the measurements of operation make of what they saw."""

from __future__ import annotations

import pytest

from tools.operations.proxy import Proxy
from tools.operations.rolling import marks
from tools.operations.traffic import Asked, Talker, recordings, summary


def talker(spoken: list[str], heard: list[str]) -> dict:
    one = Talker("websocket", "http://nowhere", [], seed=0)
    one.spoken, one.heard = spoken, heard
    return one.result()


@pytest.mark.parametrize(
    ("heard", "lost", "twice", "other"),
    [
        (["One nine eight one.", "Two two."], 0, 0, 0),
        (["One nine.", "Eight one two.", "Two."], 0, 0, 0),
        (["One nine eight one.", "Two."], 1, 0, 0),
        (["One nine eight one."], 2, 0, 0),
        (["One nine one.", "Two two."], 0, 0, 1),
        (["One one.", "Two two."], 2, 0, 0),
        (["Nine eight one.", "Two two."], 1, 0, 0),
        (["One nine eight one.", "Eight one two two."], 0, 2, 0),
        (["One nine eight one.", "One two two."], 0, 1, 0),
        (["One nine eight.", "Nine eight one.", "Two two."], 0, 2, 0),
        (["One nine eight one.", "One nine eight one.", "Two two."], 0, 4, 0),
        (["One nine eight one.", "Two six."], 0, 0, 1),
        (["One nine nine eight one.", "Two two."], 0, 0, 1),
        (["One nine eight one.", "Six two two."], 0, 0, 1),
    ],
)
def test_each_word_is_counted(heard, lost, twice, other):
    told = talker(["One nine eight one.", "Two two."], heard)
    assert (told["words_lost"], told["words_twice"], told["words_other"]) == (lost, twice, other)
    assert told["words"] == 6


def scene(**changes: object) -> dict:
    return {
        "talkers": [talker(["One."], ["One."])],
        "requests": {"plain": Asked(answered=1).result()},
        "newcomers": {"webrtc": {"refused": []}},
        "calm": True,
    } | changes


def test_all_marks_are_met_where_nothing_went_wrong():
    assert all(mark["met"] for mark in marks([scene(), scene()]).values())


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({"talkers": [talker(["One."], [])]}, "words in no final"),
        ({"talkers": [talker(["One."], ["One.", "One."])]}, "words in two finals"),
        ({"talkers": [talker(["One."], ["One."]) | {"error": "Unreachable"}]}, "clients that gave up"),
        ({"requests": {"plain": Asked(failed=["502"]).result()}}, "requests failed"),
        ({"newcomers": {"webrtc": {"refused": ["503"]}}}, "sessions refused"),
        ({"calm": False}, "processes that did not end as they should"),
    ],
)
def test_each_mark_can_be_missed(changes, missed):
    assert [name for name, mark in marks([scene(**changes)]).items() if not mark["met"]] == [missed]


def test_what_is_said_is_what_the_models_know():
    said = recordings()
    assert len(said) == len({one.text for one in said})
    assert all(len(one.audio) > 16_000 and one.wav.startswith(b"RIFF") for one in said)


def test_a_summary():
    assert summary([]) is None
    assert summary([1.0, 3.0]) == {"p50": 2.0, "p95": 2.9, "longest": 3.0}


def test_the_examples_of_the_proxy_are_understood(tmp_path):
    proxy = Proxy(tmp_path, [4001, 4002], [4003, 4004])
    upstreams, whole = ((tmp_path / name).read_text() for name in ("upstreams.conf", "whole.conf"))
    assert all(f"server 127.0.0.1:{port} fail_timeout=2s;" in upstreams for port in range(4001, 4005))
    assert f"listen 127.0.0.1:{proxy.port};" in whole
    assert "ssl" not in whole
