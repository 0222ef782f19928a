"""The process in which Helm's library is: releases come in on standard input, what came of them goes out."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from tools.chart.helm import BUILT

__all__ = ["main"]


def main() -> None:
    """Answer once."""
    sys.path.insert(0, str(BUILT))
    library = importlib.import_module("helm_python")
    print(json.dumps([_answer(library, wanted) for wanted in json.load(sys.stdin)]))


def _answer(library: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    chart, values = wanted["chart"], wanted["values"]
    texts, error = {}, ""
    try:
        with library.Chart.load(chart) as loaded:
            loaded.validate_schema(values)
            texts = loaded.render(values, name=wanted["name"], namespace=wanted["namespace"])
    except library.HelmError as failure:
        error = str(failure)
    lint = library.lint(chart, values, strict=True, namespace=wanted["namespace"])
    return {"texts": texts, "error": error, "lint": lint["messages"]}


if __name__ == "__main__":
    main()
