"""Helm: charts rendered and judged by its own library (Go, built into ``build/helm`` by
``tools/ensure_helm.sh``), in a process of its own.

It is the engine of ``helm template`` and ``helm lint`` without their command line.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["BUILT", "CHART", "Rendered", "Wanted", "helm"]

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "helm"
CHART = ROOT / "deploy" / "helm" / "rtc-stt"
TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """A release: what is set over the chart's own values, and what it is called."""

    values: dict[str, Any]
    name: str = "rtc-stt"
    namespace: str = "speech"
    chart: str = str(CHART)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of it: texts by template, or why there is none; and what the linter said."""

    texts: dict[str, str]
    error: str
    lint: list[dict[str, Any]]

    @property
    def manifest(self) -> str:
        """All documents as one file."""
        return "".join(f"{text}\n" for text in map(_tidy, _documents(self.texts)) if text)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """All documents.

        Raises:
            yaml.YAMLError: one is no YAML.
        """
        return [document for document in yaml.safe_load_all(self.manifest) if document]


def helm(wanted: Sequence[Wanted]) -> list[Rendered]:
    """Render and lint each.

    Raises:
        FileNotFoundError: the library is not here.
        RuntimeError: it failed, which is not the chart's fault.
    """
    if not (BUILT / "helm_python").is_dir():
        raise FileNotFoundError("Helm's library is missing: tools/ensure_helm.sh fetches it")
    done = subprocess.run(
        [sys.executable, "-m", "tools.chart.library"],
        cwd=ROOT,
        input=json.dumps([asdict(item) for item in wanted]),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"Helm's library failed: {done.stderr[-2000:]}")
    return [Rendered(**answer) for answer in json.loads(done.stdout)]


def _documents(texts: dict[str, str]) -> Iterable[str]:
    for template in sorted(texts):
        if template.endswith(".yaml"):
            for document in texts[template].split("\n---\n"):
                yield document.removeprefix("---\n")


def _tidy(document: str) -> str:
    """Without what templates leave behind; empty where nothing else is in it."""
    lines = [line.rstrip() for line in document.splitlines()]
    kept = "\n".join(line for line in lines if line)
    return f"---\n{kept}" if any(line and not line.startswith("#") for line in lines) else ""
