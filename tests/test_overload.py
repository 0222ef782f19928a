"""Queue and ladder together, on a machine that is simulated: what becomes of speakers who are too many."""

from __future__ import annotations

import pytest

from rtc_stt.hypothesis import Tier
from rtc_stt.load import Step
from rtc_stt.simulation import Manner, Node, Setting
from rtc_stt.simulation.service_times import MachineTimes, ServiceTimes
from rtc_stt.simulation.timeline import Timeline

LIMIT = 200


def machine() -> MachineTimes:
    """As a small model on two cores: the encoder by audio, the decoder nearly once a batch."""
    lengths = (0.5, 1.0, 2.0, 4.0)
    rows = [tuple(0.02 * s * n + 0.03 * s * (1 + 0.1 * n) for s in lengths) for n in (1, 8)]
    return MachineTimes("made up", 2, {Tier.FAST: ServiceTimes((1, 8), lengths, tuple(rows))})


class Town:
    """A machine and those who speak into it, three seconds at a time."""

    def __init__(self, speakers: int) -> None:
        manner = Manner(turn_s=(3.0,), silence_s=(1.5,), doubted=0.0)
        self.time = Timeline()
        self.node = Node(self.time, Setting(times=machine(), manner=manner, queue_limit=LIMIT))
        for _ in range(speakers):
            self.node.add_speaker()
        self.most_waiting = 0

    def run(self, until: int) -> None:
        for tenth in range(round(self.time.now * 10) + 1, until * 10 + 1):
            self.time.run(tenth / 10)
            self.most_waiting = max(self.most_waiting, self.node.waiting)

    @property
    def finals_p95_s(self) -> float:
        waits = sorted(self.node.waits.final_decodes)
        return waits[int(0.95 * len(waits))]


def test_few_speakers_get_all_they_ask_for():
    town = Town(4)
    town.run(60)
    assert set(town.node.steps) == {Step.NORMAL}
    assert town.finals_p95_s < 0.5
    # Four in a second of speech, but for the first and the last bits of a turn.
    assert len(town.node.waits.partials) > 3 * 4 * 60 * 3.0 / 4.5


@pytest.mark.parametrize("speakers", [24, 48, 72])
def test_far_too_many_speakers_all_get_their_finals_and_peace_returns(speakers):
    town = Town(speakers)
    town.run(60)
    assert len(town.node.waits.finals) > speakers * 9, "nobody is left behind"
    assert town.finals_p95_s < 2.0
    assert max(town.node.steps) > Step.NORMAL, "something was left out"
    assert town.node.waits.partials
    assert town.most_waiting <= LIMIT
    town.node.leave()
    town.run(80)
    assert town.node.waits_for == 0, "every final came"
    assert town.node.step is Step.NORMAL
