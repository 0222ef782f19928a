"""When a machine stood still, and which packets that excuses."""

from __future__ import annotations

import pytest

from tools.ingest.stalls import Stalls
from tools.telephony.load import _meets


def test_stalls_are_read_as_the_watcher_writes_them(tmp_path):
    notes = tmp_path / "notes"
    said = "late 100.0500 0.0200\ntook 110 0.0002\nlate 200.0000 0.0400\ntook 210 0.0001\ntook 220 0.0003\n"
    notes.write_text(said + "late 300.0", encoding="ascii")  # the last is being written
    stalls = Stalls(str(notes))
    assert stalls.spans() == [pytest.approx((100.03, 100.05)), pytest.approx((199.96, 200.0))]
    assert stalls.over(0.01, since=0.0) == 2
    assert stalls.over(0.03, since=0.0) == 1
    assert stalls.over(0.01, since=150.0) == 1
    assert stalls.slowness(since=105.0) == pytest.approx([2, 1, 3])
    assert stalls.slowness(since=215.0) == pytest.approx([3])


@pytest.mark.parametrize(
    ("way", "excused"),
    [
        ((9.0, 9.9), False),  # there before it
        ((9.99, 10.01), True),  # on its way as it began
        ((10.01, 10.06), True),
        ((10.03, 10.06), True),  # left in as long again behind it
        ((10.05, 10.09), False),  # left later than that
    ],
)
def test_only_who_was_on_the_way_then_or_as_long_again_behind_is_excused(way, excused):
    assert _meets(way, [(10.0, 10.02)]) is excused
    assert not _meets(way, [])
