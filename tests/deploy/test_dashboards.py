"""The dashboards: what is in their files, by Grafana's own types, and what a person needs of a panel."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.alerts.objectives import alerts
from tools.dashboards.__main__ import BOARDS, FOLDER, written
from tools.dashboards.panel import Board

ROOT = Path(__file__).parents[2]
RUNBOOKS = set(re.findall(r"^## (\S+)$", (ROOT / "docs/operate/runbooks.md").read_text(), re.M))
EACH = pytest.mark.parametrize("name", BOARDS)


def lost(sent: Any, read: Any, at: str = "") -> set[str]:
    """Where in ``sent`` is something that ``read`` has not, or has otherwise."""
    if isinstance(sent, dict):
        if not isinstance(read, dict):
            return {at}
        return {path for key, value in sent.items() for path in lost(value, read.get(key), f"{at}.{key}")}
    if isinstance(sent, list):
        if not isinstance(read, list) or len(sent) != len(read):
            return {at}
        return {path for a, b in zip(sent, read, strict=True) for path in lost(a, b, f"{at}[]")}
    return set() if sent == read else {at}


@EACH
def test_the_files_are_what_is_written(name: str) -> None:
    told = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert told == written(BOARDS[name]), "python -m tools.dashboards"


def test_there_is_no_other_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.json" for name in BOARDS}


@EACH
def test_grafana_knows_every_field(name: str) -> None:
    """What its own types do not know is lost on the way through them."""
    register_default_plugins()
    sent = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(sent)))
    assert lost(sent, read) == set()


def test_a_field_that_grafana_does_not_know_is_found() -> None:
    register_default_plugins()
    sent = json.loads(written(BOARDS["operators"]))
    sent["panels"][1]["fieldConfig"]["defaults"]["colour"] = "red"
    sent["refreshed"] = True
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(sent)))
    assert {".refreshed", ".panels[].fieldConfig.defaults.colour"} <= lost(sent, read)


@EACH
def test_panels_are_told_apart_and_lie_beside_each_other(name: str) -> None:
    panels = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_panel_explains_itself(board: Board) -> None:
    known = {
        value for key, value in vars(units).items() if isinstance(value, str) and not key.startswith("_")
    }
    titles = [(row.title, panel.title) for row in board.rows for panel in row.panels]
    assert len(set(titles)) == len(titles)
    for panel in board.panels:
        assert panel.says.endswith(".")
        assert panel.unit in known, panel
        assert not panel.runbook or panel.runbook in RUNBOOKS, panel
        assert [at for at, _ in panel.limits] == sorted(at for at, _ in panel.limits)


def test_every_runbook_is_linked_from_a_panel_or_an_alert() -> None:
    linked = {panel.runbook for board in BOARDS.values() for panel in board.panels}
    assert RUNBOOKS - linked - set(re.findall(r"runbooks\.md#(\S+)", alerts())) == set()


def test_provisioning_leads_to_them() -> None:
    folder = ROOT / "deploy/grafana/provisioning"
    source = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"][0]
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
    provider = yaml.safe_load((folder / "dashboards/rtc-stt.yaml").read_text())["providers"][0]
    assert provider["options"]["path"].endswith("/dashboards/rtc-stt")
    assert provider["allowUiUpdates"] is False
