"""Write the schema of the chart's values, and the manifests that are rendered from it: ``make manifests``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml

from tools.chart.helm import CHART, ROOT, Wanted, helm
from tools.chart.values_schema import values_schema

__all__ = ["MANIFESTS", "manifests", "schema_text", "value_sets"]

MANIFESTS = ROOT / "deploy" / "manifests"


def value_sets() -> dict[str, Path]:
    """The sets of values for which manifests are kept, by name."""
    return {path.name.removesuffix("-values.yaml"): path for path in sorted(CHART.glob("ci/*-values.yaml"))}


def schema_text() -> str:
    """``values.schema.json``, a line for what is one thing."""
    return json.dumps(values_schema(), indent=1) + "\n"


def manifests() -> dict[str, str]:
    """What Helm makes of each set.

    Raises:
        ValueError: it refuses one.
    """
    sets = value_sets()
    made = {}
    for name, rendered in zip(
        sets, helm([Wanted(yaml.safe_load(path.read_text())) for path in sets.values()]), strict=True
    ):
        if rendered.error:
            raise ValueError(f"{name}: {rendered.error}")
        path = sets[name].relative_to(ROOT)
        made[name] = f"# Written by: make manifests, from the chart and {path}.\n{rendered.manifest}"
    return made


def main() -> int:
    """Both."""
    (CHART / "values.schema.json").write_text(schema_text())
    MANIFESTS.mkdir(exist_ok=True)
    try:
        made = manifests()
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, text in made.items():
        (MANIFESTS / f"{name}.yaml").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
