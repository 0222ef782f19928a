"""What each command does, and the order in which `all` does them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from tools.demo_models import paths
from tools.demo_models.fsdd import Recording
from tools.demo_models.paths import Work

Arguments = argparse.Namespace
Recordings = list[Recording]

# Heavy modules are imported where they are needed: making data needs no torch, and evaluating needs
# no synthesiser.


def run_data(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.dataset import write_shards

    write_shards(work.shards, arguments.clips, arguments.seed, recordings, arguments.processes)


def run_testsets(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.testsets import write_test_sets

    write_test_sets(work.test_sets, recordings, arguments.limit)


def run_clips(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.clips import write_test_clips

    size = write_test_clips(arguments.output, recordings)
    print(f"{arguments.output}: {size / 1e6:.2f} MB")


def run_samples(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.samples import write_samples

    write_samples(arguments.output, recordings)


def run_train(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.train import Plan, train

    train(
        Plan(
            name=arguments.name,
            shards=(work.shards,),
            output=arguments.output or work.checkpoint(arguments.name),
            start=arguments.start,
            minutes=arguments.minutes,
            stop_minutes=arguments.stop,
            learning_rate=arguments.learning_rate,
            positions=arguments.positions,
            phone_weight=arguments.phone_weight,
            seed=arguments.seed,
            warp=not arguments.no_warp,
            processes=arguments.processes,
        )
    )


def run_grow(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.model import load_checkpoint, reshape, save_checkpoint
    from tools.demo_models.shapes import SHAPES

    model, _ = load_checkpoint(arguments.source)
    shape = SHAPES[arguments.name]
    save_checkpoint(arguments.output, reshape(model, shape), shape)


def run_halve(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.model import load_checkpoint, save_checkpoint

    save_checkpoint(arguments.output, *load_checkpoint(arguments.source), half=True)


def run_convert(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.convert import convert

    convert(arguments.checkpoint, arguments.output, arguments.quantisation)


def run_evaluate(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    bundled = [paths.PACKAGED_MODELS / "demo-tiny", paths.PACKAGED_MODELS / "demo-medium"]
    models, only = arguments.models or bundled, arguments.sets or []
    _evaluate(models, arguments.clips, work, only, padded=arguments.padded)


def _evaluate(models: list[Path], clips: Path, work: Work, only: list[str], *, padded: bool = False) -> None:
    from tools.demo_models.evaluate import all_sets, evaluate, write_rows

    for model in models:
        sets = (pair for pair in all_sets(clips, work.test_sets) if pair[0] in only or not only)
        rows = evaluate(model, sets, padded)
        ending = "-padded" if padded else ""
        write_rows(work.results / f"{model.name}{ending}.json", rows)


def run_routing(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    from tools.demo_models.evaluate import read_rows, routing_table

    fast, accurate = (work.results / f"{name}.json" for name in ("demo-tiny", "demo-medium"))
    if not (fast.is_file() and accurate.is_file()):
        raise FileNotFoundError(f"no results in {work.results}: run `evaluate` first")
    print("\n".join(routing_table(read_rows(fast), read_rows(accurate))))


@dataclass(frozen=True)
class _Step:
    """A training run of `all`. Minutes are for two cores."""

    name: str
    output: str
    start: str | None
    minutes: float
    learning_rate: float
    phone_weight: float
    stop: float | None = None
    warp: bool = True


# One ancestor from nothing; then the accurate model is it with four more encoder layers, the fast
# one its first layers.
_STEPS = (
    _Step("demo-small", "demo-small-base", None, 40, 2e-3, 1.0, stop=24, warp=False),
    _Step("demo-small", "demo-small", "demo-small-base", 16, 1.1e-3, 0.3),
    _Step("demo-medium", "demo-medium", "demo-small", 30, 1.2e-3, 0.4),
    _Step("demo-tiny", "demo-tiny", "demo-small", 12, 1.8e-3, 0.3),
)
_SMOKE_MINUTES = 0.12
_SMOKE_CLIPS, _SMOKE_LIMIT = 160, 3


def run_all(arguments: Arguments, work: Work, recordings: Recordings) -> None:
    """From data to numbers in the scratch folder; nothing that is committed changes."""
    from tools.demo_models.clips import write_test_clips
    from tools.demo_models.convert import convert
    from tools.demo_models.dataset import CLIPS_PER_SHARD, write_shards
    from tools.demo_models.samples import write_samples
    from tools.demo_models.testsets import write_test_sets
    from tools.demo_models.tokens import Tokens

    smoke: bool = arguments.smoke
    print(f"tokenizer: {Tokens(paths.TOKENIZER).size} ids")
    clips, per_shard = (_SMOKE_CLIPS, _SMOKE_CLIPS // 2) if smoke else (60_000, CLIPS_PER_SHARD)
    write_shards(work.shards, clips, 1, recordings, arguments.processes, per_shard)
    write_test_sets(work.test_sets, recordings, _SMOKE_LIMIT if smoke else None)
    for step in _STEPS:
        _train_step(step, work, arguments.processes, smoke)
    models = []
    for name in ("demo-tiny", "demo-medium"):
        convert(work.checkpoint(name), work.model(name))
        models.append(work.model(name))
    write_test_clips(work.root / "clips", recordings)
    _evaluate(models, work.root / "clips", work, [])
    run_routing(arguments, work, recordings)
    # Chosen with the bundled models: what a model of eight seconds understands shows nothing.
    write_samples(work.root / "samples", recordings)


def _train_step(step: _Step, work: Work, processes: int, smoke: bool) -> None:
    from tools.demo_models.train import Plan, train

    train(
        Plan(
            name=step.name,
            shards=(work.shards,),
            output=work.checkpoint(step.output),
            start=work.checkpoint(step.start) if step.start else None,
            minutes=_SMOKE_MINUTES if smoke else step.minutes,
            stop_minutes=None if smoke else step.stop,
            learning_rate=step.learning_rate,
            positions=600 if smoke else 2400,
            phone_weight=step.phone_weight,
            seed=1 + _STEPS.index(step),
            warp=step.warp,
            processes=processes,
        )
    )
