"""``rtc-stt bench check``: has something become slower than the committed baseline says?"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench import clips as recordings
from rtc_stt.bench import gate_run
from rtc_stt.bench.gate import FEWEST_RUNS, Check, Judgement, Verdict, compare, make_baseline, read_baseline
from rtc_stt.bench.result import provenance
from rtc_stt.bench.voice import MakeSpeech
from rtc_stt.cli import common
from rtc_stt.cli.receive_work import receive_work
from rtc_stt.config import ContextPolicy
from rtc_stt.demo_models import FAST
from rtc_stt.engines import WhisperEngine
from rtc_stt.errors import ConfigError, ModelError, RtcSttError
from rtc_stt.memory import limit_arenas

__all__ = ["add_parser"]

BASELINE = Path(__file__).resolve().parents[2] / "docs" / "results" / "bench_baseline.json"
RUNS = 5
QUICK = "in little: it shows that it runs, and judges nothing"


def add_parser(parts: Any, make_speech: MakeSpeech) -> None:
    """Add the command to those of ``bench``."""
    parser = common.add_parser(
        parts,
        "check",
        lambda options: run(options, make_speech),
        help="compare with the committed baseline, in a minute; exit code 1: worse, 2: no verdict",
        example="rtc-stt bench check --out check.json",
    )
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--write-baseline",
        action="store_true",
        help="take several runs and write them as the baseline: on a quiet machine, where what is, is good",
    )
    how.add_argument("--quick", action="store_true", help=QUICK)
    parser.add_argument(
        "--runs",
        type=_runs,
        default=RUNS,
        help=f"with --write-baseline; those on an unsteady machine do not count (default: {RUNS})",
    )
    parser.add_argument("--clips", type=Path, default=recordings.CLIPS, help="folder of test clips")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result here as JSON")
    common.add_common(parser)
    parser.set_defaults(log_level="error")


def run(options: argparse.Namespace, make_speech: MakeSpeech) -> int:
    """Measure, then judge or write; see :class:`~rtc_stt.bench.gate.Verdict` for the exit code."""
    common.set_up_logging(options)
    short = {"rounds": 2, "turns": 1} if options.quick else {}
    plan = gate_run.Plan(clips=options.clips, **short)
    if options.write_baseline:
        return _write_baseline(options, plan, make_speech)
    baseline = None if options.quick else _read(options.baseline)
    [check] = _measure(plan, make_speech, 1)
    judgement = (
        Judgement(Verdict.NONE, not_judged=(QUICK,))
        if baseline is None
        else compare(check, read_baseline(baseline))
    )
    _tell(check, judgement, baseline)
    if options.out:
        _write(
            options.out,
            {
                "measurement": "check",
                "verdict": judgement.verdict.name.lower(),
                "worse": judgement.worse,
                "not_judged": judgement.not_judged,
                "better": judgement.better,
                **check.to_json(),
                "provenance": provenance(options.clips),
            },
        )
    return judgement.verdict.value


def _write_baseline(options: argparse.Namespace, plan: gate_run.Plan, make_speech: MakeSpeech) -> int:
    checks = _measure(plan, make_speech, options.runs)
    baseline = make_baseline(checks)
    _write(options.baseline, {**baseline, "provenance": provenance(options.clips)})
    for name, figure in baseline["figures"].items():
        print(f"{name:26} {figure['value']:10g} {figure['unit']:7} tolerance {figure['tolerance']:.2f}")
    print(f"written: {options.baseline}", file=sys.stderr)
    return 0


def _measure(plan: gate_run.Plan, make_speech: MakeSpeech, runs: int) -> list[Check]:
    with tqdm(total=runs * gate_run.steps(plan), unit="step") as bar:
        return [_in_a_process(plan, make_speech, bar.update) for _ in range(runs)]


def _in_a_process(plan: gate_run.Plan, make_speech: MakeSpeech, tick: Callable[[], object]) -> Check:
    """Each run has a fresh one: what a run before it left in memory is none of its own.

    Raises:
        RtcSttError: as in the process.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_worker, args=(theirs, plan, make_speech), daemon=True)
    process.start()
    theirs.close()
    try:
        while (told := ours.recv()) is None:
            tick()
    except EOFError as error:
        raise ModelError("the measuring process ended before its time; its last words are above") from error
    finally:
        process.kill()
        process.join()
    if isinstance(told, RtcSttError):
        raise told
    assert isinstance(told, Check)
    return told


def _worker(out: Connection, plan: gate_run.Plan, make_speech: MakeSpeech) -> None:
    """Sends None at each step, and last the Check or what is wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who waits, and ends this one
    limit_arenas()
    try:
        out.send(gate_run.run(plan, _engine, receive_work, make_speech, lambda: out.send(None)))
    except RtcSttError as error:
        out.send(error)


def _engine() -> WhisperEngine:
    """The fast model as the demo runs it, on one thread."""
    return WhisperEngine(
        FAST.path,
        name=FAST.name,
        device="cpu",
        compute_type="int8",
        cpu_threads=1,
        context_policy=ContextPolicy(FAST.context_policy),
    )


def _runs(text: str) -> int:
    if not text.isdecimal() or int(text) < FEWEST_RUNS:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {FEWEST_RUNS} on")
    return int(text)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read ({type(error).__name__}): name another one with --baseline, "
            "or make one with --write-baseline"
        ) from error


def _write(path: Path, told: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _tell(check: Check, judgement: Judgement, baseline: Any) -> None:
    """A line for each figure, then the verdict."""
    before = baseline["figures"] if baseline else {}
    for name, reading in check.readings.items():
        line = f"{name:26} {reading.value:10g} {reading.unit:7}"
        if name in before:
            times = reading.compared / before[name]["compared"]
            line += f" {times:5.2f} × the baseline (at most {before[name]['tolerance']:.2f})"
        print(line)
    told = check.to_json()["calibration"]
    print(f"calibration wavers by {told['waver']}, and took {told['crowded']} times its CPU time")
    made = baseline["provenance"]["machine"]["cpu"] if baseline else ""
    if made and made != (here := provenance()["machine"]["cpu"]):  # type: ignore[index]
        print(f"the baseline was made on {made}, this is {here}: ratios differ somewhat between the two")
    for words, lines in (
        ("WORSE", judgement.worse),
        ("not judged", judgement.not_judged),
        ("better", judgement.better),
    ):
        for line in lines:
            print(f"{words}: {line}")
    if judgement.better:
        print("where that is meant to stay: rtc-stt bench check --write-baseline")
    print({Verdict.PASSED: "passed", Verdict.WORSE: "FAILED", Verdict.NONE: "no verdict"}[judgement.verdict])
