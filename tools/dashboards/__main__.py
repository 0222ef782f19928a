"""Write the dashboards."""

from __future__ import annotations

import json
from pathlib import Path

from tools.dashboards.operators import OPERATORS
from tools.dashboards.panel import Board, render
from tools.dashboards.voice_quality import VOICE_QUALITY

__all__ = ["BOARDS", "FOLDER", "written"]

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
BOARDS = {"operators": OPERATORS, "voice-quality": VOICE_QUALITY}
"""By the name of their file."""


def written(board: Board) -> str:
    """What stands in its file."""
    return json.dumps(render(board), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Both files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, board in BOARDS.items():
        (FOLDER / f"{name}.json").write_text(written(board), encoding="utf-8")


if __name__ == "__main__":
    main()
