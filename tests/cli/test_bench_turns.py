"""``rtc-stt bench turns``, but for what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtc_stt.bench.link import Conditions
from rtc_stt.bench.turns import manifest
from rtc_stt.bench.turns.conditions import Condition
from rtc_stt.bench.turns.result import Result, read
from rtc_stt.cli import bench_turns, common, main
from tests.bench.turns.virtual import virtually


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list:
    """Instead of playing anything: what would be played to whom."""
    seen: list = []

    async def run(target, plan, tick) -> Result:
        seen.append((target, plan))
        return seen_result(plan)

    monkeypatch.setattr(bench_turns, "run", run)
    monkeypatch.setattr(bench_turns.asyncio, "run", virtually)
    return seen


def seen_result(plan) -> Result:
    outcome = {"interrupted": plan.seed == 2, "failures": int(plan.seed == 3)}
    lag = {"p50": 1.0, "p95": 1.0, "p99": 11.0 if plan.seed == 4 else 1.0, "n": 9}
    return Result(rows=[], target={"name": "none"}, send_lag_ms=lag, **outcome)


def test_what_is_asked_for_is_what_is_played(planned, tmp_path):
    out, page = tmp_path / "a" / "out.json", tmp_path / "b" / "page.html"
    code = main(
        ["bench", "turns", "--target", "webrtc", "--url", "http://127.0.0.1:1", "--sets", "single,pauses-300",
         "--limit", "2", "--speakers", "3", "--rounds", "4", "--condition", "noise:10,telephone",
         "--loss", "....x", "--jitter-ms", "30", "--delay-ms", "20", "--hangover-ms", "300",
         "--patience-s", "5", "--language", "en", "--cost-only", "--out", str(out), "--page", str(page)]
    )  # fmt: skip
    ((target, plan),) = planned
    assert code == 0
    assert {scene.set for scene in plan.scenes} == {"single", "pauses-300"}
    assert (len(plan.scenes), plan.speakers, plan.rounds) == (4, 3, 4)
    assert plan.condition == Condition(
        "pink noise", 10, True, Conditions(pattern="....x", jitter_s=0.03, delay_s=0.02)
    )
    assert (plan.hangover_ms, plan.patience_s, plan.language, plan.cost_only) == (300, 5, "en", True)
    assert plan.data == {"folder": "turns", "sha256": manifest.digest(manifest.TURNS), "scenes": 4}
    assert target.facts["server"] == "http://127.0.0.1:1"
    assert read(out).target == {"name": "none"}
    assert page.read_text(encoding="utf-8").startswith("<!")


@pytest.mark.parametrize(("seed", "code"), [(1, 0), (2, 1), (3, 1), (4, 1)])
def test_a_run_that_proves_nothing_ends_with_1(planned, seed, code, capsys):
    assert main(["bench", "turns", "--limit", "1", "--sets", "single", "--seed", str(seed)]) == code
    told = capsys.readouterr().out
    assert {1: "", 2: "INTERRUPTED", 3: "FAILED", 4: "VOID"}[seed] in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "telepathy"], "invalid choice"),
        (["--condition", "loud"], "is no condition"),
        (["--loss", "abc"], "no pattern"),
        (["--loss", "xxx"], "no pattern"),
        (["--speakers", "0"], "no whole number"),
        (["--set", "model"], "NAME=VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(planned, arguments, said, capsys):
    with pytest.raises(SystemExit) as refused:
        main(["bench", "turns", *arguments])
    assert refused.value.code == 2
    assert said in capsys.readouterr().err
    assert not planned


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reorder", "1.5"], "a share of the packets"),
        (["--jitter-ms", "-1"], "cannot be negative"),
        (["--target", "websocket", "--loss", "x."], "--target webrtc"),
        (["--sets", "nonsense"], "no scenes of the set nonsense"),
        (["--turns", "/nowhere"], "/nowhere"),
        (["--target", "files"], "either --url"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(planned, arguments, said, capsys):
    assert main(["bench", "turns", "--limit", "1", *arguments]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not planned


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "turns", "--help"])
    told = capsys.readouterr().out
    assert "example:" in told
    assert bench_turns.EXAMPLE in told
    assert str(Path.home()) not in told


@pytest.mark.parametrize("arguments", [["turns"], ["load"], ["requests", "--url", "http://127.0.0.1:1"]])
def test_a_key_need_not_stand_on_the_command_line(monkeypatch, arguments):
    seen = []

    def stop_here(options):
        seen.append(options.key)
        raise KeyboardInterrupt

    monkeypatch.setattr(common, "set_up_logging", stop_here)
    monkeypatch.setenv("RTC_STT_KEY", "a-key-of-sixteen-chars")
    for flags in ([], ["--key", "another-key-of-mine"]):
        assert main(["bench", *arguments, *flags]) == 130
    assert seen == ["a-key-of-sixteen-chars", "another-key-of-mine"]
