"""What the dashboards would show: the services run, traffic comes, pictures are made of what Prometheus says.

``python -m tools.dashboards.show`` writes ``docs/images/dashboard-*.svg``, drawn from the answers to the
panels' own questions, and ``docs/images/prometheus-*.png``, screenshots of Prometheus itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from tools.dashboards.__main__ import BOARDS
from tools.dashboards.drawing import Series, draw
from tools.dashboards.panel import Board, Query, filled
from tools.scrape import fleet, traffic
from tools.scrape.prometheus import Api

__all__ = ["main"]

IMAGES = Path(__file__).parents[2] / "docs" / "images"
STEP_S = 2
GRAPH = "rtc_stt:endpoint_to_final_seconds:p95_5m"
PAGES = {
    "targets": "/classic/targets",
    "alerts": "/classic/alerts",
    "graph": f"/classic/graph?g0.expr={GRAPH}&g0.tab=0&g0.range_input=2m",
}
"""Of Prometheus, by the name of their picture."""


def main() -> int:
    """Make all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60.0, help="of traffic (default: 60)")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder (default: docs/images)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, fleet.running(Path(folder)) as services:
        begun = time.time()
        asyncio.run(traffic.send(services, options.seconds))
        time.sleep(2.5)
        for name, board in BOARDS.items():
            picture = draw(board, answers(services.prometheus, board, begun, time.time()))
            (options.out / f"dashboard-{name}.svg").write_text(picture, encoding="utf-8")
        take_pictures(services.prometheus, options.out)
    return 0


def answers(prometheus: Api, board: Board, start: float, end: float) -> dict[str, list[Series]]:
    """What the panels get."""
    span = {"start": f"{start:.0f}", "end": f"{end:.0f}", "step": str(STEP_S)}
    found: dict[str, list[Series]] = {}
    for row in board.rows:
        for panel in row.panels:
            lines = found.setdefault(f"{row.title}/{panel.title}", [])
            for query in panel.queries:
                told = prometheus.ask("query_range", query=filled(query.expr, "20s"), **span)
                for series in told["result"]:
                    values = [(float(at) - start, float(value)) for at, value in series["values"]]
                    points = [(at, value) for at, value in values if math.isfinite(value)]
                    lines.append(Series(legend(query, series["metric"]), points))
    return found


def legend(query: Query, labels: dict[str, str]) -> str:
    """As Grafana fills it in."""
    if not query.legend:
        return json.dumps(labels)
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), query.legend).strip()


def take_pictures(prometheus: Api, folder: Path) -> None:
    """Of Prometheus, as a browser shows it."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError("there is no browser: tools/ensure_chromium.sh installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--disable-gpu"])
        for name, path in PAGES.items():
            tab = browser.new_page(viewport={"width": 1_200, "height": 800})
            tab.goto(prometheus.url + path, wait_until="networkidle")
            tab.wait_for_timeout(1_500)
            tab.screenshot(path=folder / f"prometheus-{name}.png")
            tab.close()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
