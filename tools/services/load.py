"""``rtc-stt bench requests`` on a primary with a fallback, both on this machine, as is the client."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rtc_stt.bench import requests
from tools.services.processes import KEY, pair

__all__ = ["HELP", "add_arguments", "measure"]

HELP = "1, 2, 4, 8, 16 requests at a time: latency, wait, throughput, the knee, and a plot"
PLOT = Path("docs/results/services_load.svg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--seconds", type=float, default=20.0, help="of each step (default: 20)")
    parser.add_argument("--plot", type=Path, default=PLOT, help=f"draw it here (default: {PLOT})")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """The figures and the marks, fit for JSON."""
    steps = requests.STEPS
    with pair() as services, tqdm(total=len(steps) * round(options.seconds), unit="s") as bar:
        plan = requests.Plan(services.primary.url(), key=KEY, steps=steps, seconds=options.seconds)
        result = requests.run(plan, lambda _: bar.update())
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    options.plot.write_text(requests.picture(result), encoding="utf-8")
    return result
