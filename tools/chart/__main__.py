"""Write the schema of the chart's values, and the manifests that are rendered from it: ``make manifests``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from tools.chart.helm import CHART, ROOT, Wanted, helm
from tools.chart.values_schema import values_schema

__all__ = ["KUBERAY", "MANIFESTS", "kuberay", "manifests", "schema_text", "value_sets"]

MANIFESTS = ROOT / "deploy" / "manifests"
KUBERAY = ROOT / "deploy" / "kuberay" / "workers.yaml"
"""Of the set ``fleet`` the workers alone, for who runs gateways elsewhere."""


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


def kuberay(fleet: str) -> str:
    """The documents of the workers, as they stand in the manifests of the set ``fleet``."""
    head, *documents = fleet.split("---\n")
    kept = [text for text in documents if _is_of_workers(yaml.safe_load(text))]
    return "---\n".join([head, *kept])


def _is_of_workers(document: dict[str, Any]) -> bool:
    component = document["metadata"]["labels"]["app.kubernetes.io/component"]
    return component == "workers" or document["kind"] == "ServiceAccount"


def main() -> int:
    """All of them."""
    (CHART / "values.schema.json").write_text(schema_text())
    MANIFESTS.mkdir(exist_ok=True)
    try:
        made = manifests()
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for name, text in made.items():
        (MANIFESTS / f"{name}.yaml").write_text(text)
    KUBERAY.parent.mkdir(exist_ok=True)
    KUBERAY.write_text(kuberay(made["fleet"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
