"""The events of a few scenes are as they were. ``make golden`` keeps a change that is wanted."""

from __future__ import annotations

import pytest

from rtc_stt.wire import decode_event
from tests.golden.scenarios import SCENES, path_of, written


@pytest.mark.parametrize("name", SCENES)
def test_the_events_of_a_scene_are_as_they_were(name):
    events = SCENES[name]()
    kept = path_of(name).read_text(encoding="utf-8")
    assert written(events).splitlines() == kept.splitlines()
    assert [decode_event(line).type for line in kept.splitlines()] == [event.type for event in events]


def test_every_file_has_its_scene():
    assert {path.stem for path in path_of("x").parent.glob("*.jsonl")} == set(SCENES)
