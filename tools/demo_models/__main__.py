"""Command line of the recipe: `python -m tools.demo_models COMMAND`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tools.demo_models import fsdd, paths, pipeline
from tools.demo_models.shapes import SHAPES

_EXAMPLES = """\
examples:
  # prove that the whole chain runs (minutes), then do it for real (about two hours on two cores)
  python -m tools.demo_models all --smoke --fsdd fsdd.tar.gz
  python -m tools.demo_models all --fsdd fsdd.tar.gz

  # go on from a committed checkpoint with fresh data, and install the outcome
  python -m tools.demo_models data --fsdd fsdd.tar.gz --clips 40000 --seed 7
  python -m tools.demo_models train demo-tiny --minutes 10 --learning-rate 6e-4 \\
      --start tools/demo_models/checkpoints/demo-tiny.pt
  python -m tools.demo_models convert build/demo_models/checkpoints/demo-tiny.pt \\
      rtc_stt/demo_models/demo-tiny

  # the numbers of the model card
  python -m tools.demo_models testsets --fsdd fsdd.tar.gz
  python -m tools.demo_models evaluate
  python -m tools.demo_models routing

`--fsdd` takes folders or archives of the Free Spoken Digit Dataset, as often as needed; all else
is made here.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.demo_models",
        description="Make, measure and renew the bundled demo models.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=paths.DEFAULT_WORK,
        help="scratch folder (default: %(default)s)",
    )
    parser.add_argument("--processes", type=int, default=2, help="CPU cores to use (default: 2)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_data_commands(commands)
    _add_model_commands(commands)
    _add_measuring_commands(commands)
    return parser


def _needs_fsdd(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--fsdd",
        type=Path,
        action="append",
        required=True,
        metavar="DIR_OR_TGZ",
        help="human digits {digit}_{speaker}_{n}.wav; theo and yweweler are only ever tested on",
    )


Commands = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _add_data_commands(commands: Commands) -> None:  # type: ignore[valid-type]
    add: Callable[..., argparse.ArgumentParser] = commands.add_parser  # type: ignore[attr-defined]
    data = add("data", help="synthesise training shards")
    _needs_fsdd(data)
    data.add_argument("--clips", type=int, default=60_000, help="default: 60000, about 50 h")
    data.add_argument("--seed", type=int, default=1, help="another seed gives other clips")
    sets = add("testsets", help="synthesise the development test sets")
    _needs_fsdd(sets)
    sets.add_argument("--limit", type=int, help="at most so many clips of each set")
    clips = add("clips", help="write the committed test clips (tests/clips)")
    _needs_fsdd(clips)
    clips.add_argument("--output", type=Path, default=paths.TEST_CLIPS)
    samples = add("samples", help="write the demo page's sample clips (web_demo/samples)")
    _needs_fsdd(samples)
    samples.add_argument("--output", type=Path, default=paths.WEB_SAMPLES)


def _add_model_commands(commands: Commands) -> None:  # type: ignore[valid-type]
    add: Callable[..., argparse.ArgumentParser] = commands.add_parser  # type: ignore[attr-defined]
    train = add("train", help="train one model for a number of minutes")
    train.add_argument("name", choices=sorted(SHAPES))
    train.add_argument("--start", type=Path, help="checkpoint to go on from, of any depth")
    train.add_argument("--minutes", type=float, default=20)
    train.add_argument("--stop", type=float, help="leave off so early, learning rate not annealed")
    train.add_argument("--learning-rate", type=float, default=1e-3)
    train.add_argument("--phone-weight", type=float, default=0.3, help="1 from nothing, less later")
    train.add_argument("--positions", type=int, default=2400, help="batch size of one process")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--no-warp", action="store_true", help="no vocal tract warping")
    train.add_argument("--output", type=Path, help="default: WORK/checkpoints/NAME.pt")
    grow = add("grow", help="the same weights in a deeper or shallower model")
    grow.add_argument("source", type=Path)
    grow.add_argument("name", choices=sorted(SHAPES))
    grow.add_argument("output", type=Path)
    halve = add("halve", help="a checkpoint as bf16, for committing")
    halve.add_argument("source", type=Path)
    halve.add_argument("output", type=Path)
    convert = add("convert", help="checkpoint to CTranslate2 model folder")
    convert.add_argument("checkpoint", type=Path)
    convert.add_argument("output", type=Path)
    convert.add_argument("--quantisation", choices=["int8", "float32"], default="int8")


def _add_measuring_commands(commands: Commands) -> None:  # type: ignore[valid-type]
    add: Callable[..., argparse.ArgumentParser] = commands.add_parser  # type: ignore[attr-defined]
    evaluate = add("evaluate", help="word error rates on tests/clips and the development sets")
    evaluate.add_argument("--models", type=Path, nargs="+", metavar="DIR", help="default: the bundled two")
    evaluate.add_argument("--padded", action="store_true", help="padded to 30 s, as by default")
    evaluate.add_argument("--sets", nargs="+", metavar="SET", help="only these, as printed")
    evaluate.add_argument("--clips", type=Path, default=paths.TEST_CLIPS)
    add("routing", help="what escalating unsure clips gives, from the rows of `evaluate`")
    whole = add("all", help="everything, from nothing to measured models, in the scratch folder")
    _needs_fsdd(whole)
    whole.add_argument("--smoke", action="store_true", help="tiny amounts: proves that it runs")


def _run(arguments: argparse.Namespace) -> None:
    work = paths.Work(arguments.work)
    recordings = []
    if hasattr(arguments, "fsdd"):
        recordings = fsdd.unpack(arguments.fsdd, work.fsdd)
        if not recordings:
            raise ValueError("--fsdd: no files named {digit}_{speaker}_{n}.wav in there")
    getattr(pipeline, f"run_{arguments.command}")(arguments, work, recordings)


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        _run(arguments)
    except (FileNotFoundError, ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
