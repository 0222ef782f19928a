"""The search for capacity, against a target that carries so many and no more, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from rtc_stt.audio import Samples
from rtc_stt.bench.limits import Limits
from rtc_stt.bench.probes import Held, Look
from rtc_stt.bench.sessions import Plan, run
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.target import Hear
from rtc_stt.bench.turns.targets.scripted import Cue, ScriptedLine, ScriptedTarget
from rtc_stt.bench.turns.told import Dropped, Final
from tests.bench.turns.virtual import VirtualLoop, audio, scene, turn, virtually

SCENES = [
    scene(turn("one two", 500, 1_500), id="a"),
    scene(turn("three", 500, 900, id="1"), turn("four", 2_500, 3_000, id="2"), id="b"),
]


class Server(ScriptedTarget):
    """Answers after 600 ms, and with more than ``carries`` sessions after twice as long."""

    def __init__(self, carries: int, *, loses: int = 10**9, refuses: Sequence[int] = ()) -> None:
        super().__init__(self._script, refuses=refuses)
        self._carries, self._loses = carries, loses
        self.most = 0

    @property
    def inside(self) -> int:
        return sum(not line.is_closed for line in self.lines)

    def _script(self, turns: Sequence[Turn]) -> Sequence[Cue]:
        self.most = max(self.most, self.inside)
        delay = 600 if self.inside <= self._carries else 1_200
        if self.inside > self._loses:
            return []
        return [Cue(spoken.end_ms + delay, Final(spoken.text)) for spoken in turns]


class Gauge:
    """Looks at a :class:`Server`: a tenth of a second of CPU time for each second, 100 MiB."""

    of = "server"

    def __init__(self, server: Server, full_at: int = 10**9) -> None:
        self._server, self._full_at = server, full_at
        self._calm_at = 0.0
        self.calmed: list[float] = []

    async def look(self) -> Look:
        loop = asyncio.get_running_loop()
        if self._server.inside > self._full_at:
            self._calm_at = loop.time() + 8
        if loop.time() < self._calm_at:
            return Look(3, 2, {"load_no_eager": 1})
        self.calmed.append(loop.time())
        return Look(0, 0, {})

    def held(self) -> Held:
        return Held(asyncio.get_running_loop().time() / 10, 100 * 2**20)


def searched(server: Server, gauge: Gauge | None = None, **plan: Any) -> dict[str, Any]:
    chosen = Plan(SCENES, seconds=12, read=audio, **plan)
    return virtually(run(server, gauge or Gauge(server), chosen, lambda *_: None))


def test_what_is_carried_is_found_and_said() -> None:
    told: list[tuple[int, bool]] = []

    def tick(sessions: int, probe: Mapping[str, Any] | None) -> None:
        told.append((sessions, probe is not None))

    server = Server(5)
    result = virtually(run(server, Gauge(server), Plan(SCENES, seconds=12, read=audio), tick))
    answer = result["answer"]
    assert (answer["sessions"], answer["too_many"], answer["at_least"]) == (5, 6, False)
    assert answer["sentence"] == (
        "This machine carries 5 sessions within these limits: p95 TTFS at most 1.5 times that of one "
        "session, p95 partial lag at most 700 ms, no turn lost, no growing backlog; 6 were too many: "
        "p95 TTFS 1200 ms, 2.00 times that of one session."
    )
    assert [probe["sessions"] for probe in result["probes"]] == [1, 2, 4, 8, 8, 6, 6, 5]
    assert told == [(probe["sessions"], done) for probe in result["probes"] for done in (False, True)]
    assert server.is_closed
    assert server.inside == 0
    assert server.most == 8


def test_a_probe_tells_what_it_saw() -> None:
    server = Server(2)
    probe = searched(server, max_sessions=2)["probes"][1]
    assert (probe["sessions"], probe["verdict"], probe["exceeded"]) == (2, "carried", [])
    assert probe["ttfs_ms"]["p95"] == pytest.approx(600, abs=1)
    assert probe["ttfs_less_hangover_ms"]["p95"] == pytest.approx(100, abs=1)
    assert (probe["lost"], probe["dropped"], probe["word_error_rate_percent"]) == (0, 0, 0.0)
    assert probe["turns"] == probe["ttfs_ms"]["n"] > 4
    assert probe["send_lag_ms"]["p99"] == 0
    assert 20 < probe["audio_s"] < 40  # two speakers, 12 s and the end of a scene each
    # A tenth of a second for each second of the clock, while two speak: half of it a second of audio.
    assert probe["cpu_ms_per_audio_s"] == pytest.approx(50, rel=0.2)
    assert probe["rss_mib"] == 100
    assert (probe["highest_step"], probe["steps"], probe["load_warnings"]) == (0, {"0": 1.0}, {})


def test_what_is_left_out_is_shown_and_waited_for() -> None:
    server = Server(9)
    gauge = Gauge(server, full_at=1)
    result = searched(server, gauge, max_sessions=4, limits=Limits(step=0))
    answer = result["answer"]
    assert (answer["sessions"], answer["too_many"]) == (1, 2)
    assert answer["because"] == ["ladder of load at step 3"]
    two = result["probes"][1]
    assert two["highest_step"] == 3
    assert two["steps"]["3"] > 0.5
    assert two["load_warnings"] == {"load_no_eager": 1}
    assert result["probes"][2]["steps"].keys() == two["steps"].keys(), "it began when all was calm again"


def test_lost_turns_are_too_much() -> None:
    answer = searched(Server(99, loses=2), max_sessions=4, patience_s=3.0)["answer"]
    assert (answer["sessions"], answer["too_many"]) == (2, 3)
    assert "turns lost" in answer["because"][-1]


def test_where_one_is_too_much_it_is_said() -> None:
    answer = searched(Server(9), limits=Limits(ttfs_p95_ms=500))["answer"]
    assert (answer["sessions"], answer["too_many"], answer["at_least"]) == (0, 1, False)
    assert answer["sentence"].startswith("This machine does not carry even one session within")
    assert answer["sentence"].endswith("1 was too many: p95 TTFS 600 ms.")


def test_no_more_than_asked() -> None:
    answer = searched(Server(99), max_sessions=3, who="The server at http://x")["answer"]
    assert (answer["sessions"], answer["at_least"], answer["limited_by"]) == (3, True, None)
    assert answer["sentence"].startswith("The server at http://x carries at least 3 sessions within")
    assert answer["sentence"].endswith("more were not tried (--max-sessions).")


def test_who_is_refused_loses_turns_and_the_search_goes_on() -> None:
    # 0 warms up, 1 is the first probe; of the two of the second one is refused until it gives up.
    result = searched(Server(9, refuses=(3, 4, 5)), max_sessions=2)
    assert [(p["sessions"], p["verdict"]) for p in result["probes"]] == [
        (1, "carried"),
        (2, "too many"),
        (2, "carried"),
    ]
    assert result["probes"][1]["lost"] > 0


class Deaf(Server):
    """Drops every turn with a reason that lies in the speech."""

    def _script(self, turns: Sequence[Turn]) -> Sequence[Cue]:
        return [Cue(turns[0].end_ms + 600, Dropped("no_speech")), *super()._script(turns)[1:]]


def test_what_was_dropped_for_its_sound_is_not_lost() -> None:
    probe = searched(Deaf(9), max_sessions=1, patience_s=3.0)["probes"][0]
    assert probe["lost"] == 0
    assert probe["dropped"] > 0
    assert probe["turns"] == probe["dropped"] + probe["ttfs_ms"]["n"]


class Slow(Server):
    """Takes the only thread for a while with each frame, where more than ``late_from`` speak."""

    late_from = 3

    async def connect(self, hear: Hear, language: str | None) -> ScriptedLine:
        line = await super().connect(hear, language)
        send = line.send

        def slowly(frame: Samples) -> None:
            send(frame)
            if self.inside > self.late_from:
                loop = asyncio.get_running_loop()
                assert isinstance(loop, VirtualLoop)
                loop.now += 0.012

        line.send = slowly  # type: ignore[method-assign]
        return line


def test_late_speakers_end_the_search_with_at_least_so_many() -> None:
    result = searched(Slow(99), max_sessions=16)
    answer = result["answer"]
    assert (answer["sessions"], answer["at_least"], answer["limited_by"]) == (2, True, "speakers")
    assert "carries at least 2 sessions within" in answer["sentence"]
    assert "those who speak were too slow for more" in answer["sentence"]
    assert [(p["sessions"], p["verdict"]) for p in result["probes"]][-2:] == [(4, "void"), (4, "void")]


def test_what_was_found_stays_when_it_is_broken_off() -> None:
    async def breaking_off() -> dict[str, Any]:
        server = Server(99)
        task = asyncio.current_task()
        assert task is not None

        def tick(sessions: int, probe: Mapping[str, Any] | None) -> None:
            if sessions == 4 and probe is None:
                asyncio.get_running_loop().call_later(5, task.cancel)

        result = await run(server, Gauge(server), Plan(SCENES, seconds=12, read=audio), tick)
        assert server.is_closed
        assert server.inside == 0
        return result

    result = virtually(breaking_off())
    assert result["interrupted"]
    assert (result["answer"]["sessions"], result["answer"]["at_least"]) == (2, True)
    assert "carries at least 2 sessions" in result["answer"]["sentence"]
    assert "the search was broken off" in result["answer"]["sentence"]
