"""What a ``helm`` command makes of the chart, beside the library: ``python -m tools.chart.command [HELM]``.

For whoever has one: it lints each set of values, renders it, and compares that with the manifests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tools.chart.__main__ import MANIFESTS, value_sets
from tools.chart.helm import CHART

__all__ = ["main"]

KUBERNETES = "1.30.0"
TIMEOUT_S = 60


def main(program: str) -> int:
    """Say what is found; 1 where anything is wrong.

    Raises:
        FileNotFoundError: there is no such command.
    """
    print(_run(program, "version", "--short").stdout.strip())
    return max(_judge(program, name, values) for name, values in value_sets().items())


def _judge(program: str, name: str, values: Path) -> int:
    lint = _run(program, "lint", "--strict", str(CHART), "--values", str(values))
    if lint.returncode:
        print(f"{name}: lint: {lint.stdout}{lint.stderr}")
        return 1
    options = ["--namespace", "speech", "--kube-version", KUBERNETES, "--values", str(values)]
    made = _run(program, "template", "rtc-stt", str(CHART), *options)
    if made.returncode:
        print(f"{name}: template: {made.stderr}")
        return 1
    found, kept = _documents(made.stdout), _documents((MANIFESTS / f"{name}.yaml").read_text())
    print(f"{name}: linted; {len(found)} documents, {'as kept' if found == kept else 'others than are kept'}")
    return int(found != kept)


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def _documents(text: str) -> dict[tuple[str, str], Any]:
    documents = [document for document in yaml.safe_load_all(text) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "helm"))
