"""The list of replicas: what is written can be read, and nothing else can."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.hypothesis import Tier
from rtc_stt.replicas.replica import BadList, Replica, read_list, write_list

ONE = Replica("r1", Tier.FAST, "ws://10.0.0.7:4000/decode", "small", frozenset({"en"}), 2, 8, "0.1.0")


def changed(**fields: object) -> str:
    told = json.loads(write_list([ONE]))
    told["replicas"][0] |= fields
    return json.dumps(told)


def test_what_is_written_is_read() -> None:
    assert read_list(write_list([ONE])) == [ONE]
    assert read_list('{"replicas": []}') == []


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"replicas": {}}', '{"replicas": [1]}', "[" * 100_000,
        changed(url="http://10.0.0.7"), changed(url="ws://"), changed(tier="best"), changed(id=""),
        changed(calls=0), changed(calls=True), changed(calls=1.5), changed(max_batch=10_000),
        changed(languages="en"), changed(languages=[1]), changed(draining=1), changed(model=None),
        changed(model="m" * 1000), json.dumps({"replicas": json.loads(write_list([ONE]))["replicas"] * 1001}),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadList):
        read_list(text)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists) | st.binary())
def test_no_noise_does_more_than_be_refused(noise: object) -> None:
    text = noise if isinstance(noise, bytes) else json.dumps({"replicas": noise})
    with contextlib.suppress(BadList):
        assert all(isinstance(replica, Replica) for replica in read_list(text))
