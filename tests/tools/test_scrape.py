"""What tools/scrape and the drawing of dashboards decide by themselves."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from tools.dashboards.__main__ import BOARDS
from tools.dashboards.drawing import Series, draw
from tools.dashboards.panel import Board, Query, filled
from tools.dashboards.show import legend
from tools.scrape.fleet import configure
from tools.scrape.promql import Selector, grouped_by, selectors


def names(expression: str) -> set[str]:
    return {selector.name for selector in selectors(expression)}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("up == 0", {"up"}),
        ('sum by (job, le) (rate(a_bucket{job=~".*stt.*"}[5m]))', {"a_bucket"}),
        ('count(ALERTS{alertstate="firing"}) or vector(0)', {"ALERTS"}),
        ("a:b:p95_5m > 0.5 and on (job) a:c:ratio_1h > 1.44e-02", {"a:b:p95_5m", "a:c:ratio_1h"}),
        ("c / ignoring (codec) group_left () d", {"c", "d"}),
        ('e{x="}{ f{y=\\"1\\"}"} offset 6h', {"e"}),
        ("clamp_min(g, 1e-09)", {"g"}),
        ("deriv(h[6h]) > 10e+06 / 3600 unless i", {"h", "i"}),
    ],
)
def test_metrics_of_an_expression(expression: str, expected: set[str]) -> None:
    assert names(expression) == expected


def test_labels_that_a_series_has_to_have() -> None:
    (found,) = selectors('a{job=~"x|y",role=~".*",reason="full",decision!="accepted",gone=""}')
    assert found.labels == {"job", "reason", "gone"}
    assert Selector("b").labels == set()


def test_what_is_told_apart() -> None:
    assert grouped_by('sum by (job, le) (rate(a{b="by (c)"}[5m])) and on (d) e') == {"job", "le", "d"}


def test_our_configuration_with_other_addresses(tmp_path: Path) -> None:
    urls = {
        "gateway": "http://127.0.0.1:1",
        "primary": "http://127.0.0.1:2",
        "fallback": "http://127.0.0.1:3",
    }
    told = yaml.safe_load(configure(tmp_path, urls, 4).read_text())
    mine, own = told["scrape_configs"]
    assert [(group["labels"]["role"], group["targets"]) for group in mine["static_configs"]] == [
        (role, [url.removeprefix("http://")]) for role, url in urls.items()
    ]
    assert own["static_configs"][0]["targets"] == ["127.0.0.1:4"]
    for name in [*told["rule_files"], mine["authorization"]["credentials_file"]]:
        assert (tmp_path / name).is_file()
    assert "interval: 30s" not in (tmp_path / "slo.rules.yml").read_text()


def test_a_query_is_asked_as_grafana_asks_it() -> None:
    for board in BOARDS.values():
        for panel in board.panels:
            assert all("$" not in filled(query.expr) for query in panel.queries), panel.title


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_a_dashboard_is_drawn(board: Board) -> None:
    points = [(0.0, 0.0), (2.0, 0.25), (4.0, 3e6)]
    found = {
        f"{row.title}/{panel.title}": [Series("<a&b>", points), Series("", [])]
        for row in board.rows[:-1]
        for panel in row.panels
    }
    picture = draw(board, found)
    drawn = ET.fromstring(picture)  # noqa: S314 - it is our own
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    for panel in board.panels:
        assert panel.title in texts
    assert texts.count("no data") == len(board.rows[-1].panels)
    assert any("Not a screenshot of Grafana" in (text or "") for text in texts)


def test_legends() -> None:
    assert legend(Query("a", "{{place}} {{outcome}}"), {"place": "1"}) == "1"
    assert legend(Query("a"), {"x": "y"}) == '{"x": "y"}'
