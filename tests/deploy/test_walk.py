"""Every metric that a rule, a panel or a document names is there once the services have been used, and no
panel is empty.

Gateway, primary and fallback run with the demo models, and a real Prometheus scrapes them as
``deploy/prometheus`` says: sessions with packets lost on the way, a phone call whose webhooks nobody takes,
recordings good and broken, and who is turned away (``tools/scrape/traffic.py``).
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.dashboards.__main__ import BOARDS
from tools.dashboards.fleet import fleet_panels
from tools.dashboards.panel import filled, render
from tools.scrape import fleet, traffic
from tools.scrape.prometheus import Api
from tools.scrape.promql import grouped_by, selectors

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
DEPLOY, DOCS = ROOT / "deploy", ROOT / "docs"

ABSENT = {
    "stt_gpu_utilization_pct": "there is no GPU here",
    "stt_gpu_mem_used_mb": "there is no GPU here",
    "stt_gpu_mem_total_mb": "there is no GPU here",
    "rtc_stt_nodes": "there is no Redis here",
    "rtc_stt_shared_up": "there is no Redis here",
    "rtc_stt_sessions_moved_total": "there is no Redis here",
    "rtc_stt_shared_failures_total": "there is no Redis here",
    "rtc_stt_replicas": "models are in the gateway here",
    "rtc_stt_replica_calls_total": "models are in the gateway here",
    "rtc_stt_replica_overhead_seconds": "models are in the gateway here",
    "rtc_stt_replica_overhead_seconds_bucket": "models are in the gateway here",
    "rtc_stt:replica_overhead_seconds:p95_5m": "models are in the gateway here",
}
"""What a live scrape need not have, and why. The reference names them all the same."""

EMPTY = {"GPU utilisation", "GPU memory"} | {panel.title for panel in fleet_panels()}
"""Panels of those."""

NO_METRICS = {"rtc_stt_gateway"}
"""Names of other things that look like one: an upstream of nginx."""

QUIET = re.compile(r"ALERTS")
"""Made by Prometheus itself, when there is something to tell."""

SETTLE_S = 2.5
"""Two scrapes, and an evaluation of the rules."""


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Prometheus, after all that."""
    with fleet.running(tmp_path_factory.mktemp("fleet")) as services:
        asyncio.run(traffic.send(services))
        time.sleep(SETTLE_S)
        yield services.prometheus


def rules() -> Iterator[tuple[str, str]]:
    """Names and expressions of all rules."""
    for path in sorted((DEPLOY / "prometheus").glob("*.rules.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                yield rule.get("record") or rule["alert"], rule["expr"]


def panels() -> Iterator[tuple[str, str]]:
    """Titles and expressions of all panels, as they stand in the files."""
    for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield panel["title"], filled(target["expr"])
        for mark in board["annotations"]["list"]:
            yield mark["name"], filled(mark["expr"])


EXPRESSIONS = {**{f"rule {name}: {expr}": expr for name, expr in rules()}}
EXPRESSIONS |= {f"panel {title}: {expr}": expr for title, expr in panels()}


def test_there_is_something_to_walk() -> None:
    assert len(list(rules())) >= 63
    assert len(list(panels())) >= 100
    assert {title for title, _ in panels()} >= EMPTY


def test_every_target_is_up(scraped: Api) -> None:
    told = {series["metric"].get("role"): series["value"][1] for series in scraped.query('up{job="rtc-stt"}')}
    assert told == {"gateway": "1", "primary": "1", "fallback": "1"}


def test_each_service_has_been_asked(scraped: Api) -> None:
    """The fallback by the primary alone."""
    used = scraped.query('stt_fallback_total{role="primary",result="used"} > 0')
    asked = scraped.query('rtc_stt_fallback_attempts_total{role="primary",outcome="ok"} > 0')
    served = scraped.query('stt_request_total_seconds_count{role="fallback"} > 0')
    assert used, "no recording was doubted"
    assert asked, "the fallback was not asked"
    assert served, "the fallback did not answer"


def test_every_rule_is_evaluated_without_an_error(scraped: Api) -> None:
    found = [rule for group in scraped.ask("rules")["groups"] for rule in group["rules"]]
    assert len(found) == len(list(rules()))
    assert {rule["name"]: rule["lastError"] for rule in found if rule["health"] != "ok"} == {}


def test_every_metric_of_every_expression_is_there_with_its_labels(scraped: Api) -> None:
    known = set(scraped.ask("label/__name__/values"))

    @functools.cache
    def labels(name: str) -> set[str]:
        return set(scraped.ask("labels", **{"match[]": name})) - {"__name__"}

    missing = []
    for where, expression in EXPRESSIONS.items():
        formatted = scraped.ask("format_query", query=expression)
        found = {selector for selector in selectors(formatted) if not QUIET.fullmatch(selector.name)}
        assert found or "ALERTS" in expression, where
        present = [selector for selector in found if selector.name not in ABSENT]
        missing += [(where, s.name) for s in present if s.name not in known]
        missing += [(where, s.name, label) for s in present for label in s.labels - labels(s.name)]
        if len(present) == len(found):
            told = set().union(*(labels(selector.name) for selector in found))
            missing += [(where, label) for label in grouped_by(formatted) - told if found]
    assert missing == []


def test_no_panel_is_empty(scraped: Api) -> None:
    empty = set()
    for board in BOARDS.values():
        for panel in board.panels:
            for query in panel.queries:
                values = [series["value"][1] for series in scraped.query(filled(query.expr))]
                if not any(math.isfinite(float(value)) for value in values):
                    empty.add(panel.title)
    assert empty == EMPTY


def test_the_variables_find_something(scraped: Api) -> None:
    found: dict[str, list[str]] = {}
    for variable in render(BOARDS["operators"])["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(
                r"label_values\((.*), (\w+)\)", variable["query"]["query"]
            ).groups()  # type: ignore[union-attr]
            found[label] = scraped.ask(f"label/{label}/values", **{"match[]": filled(selector)})
    assert found["job"] == ["rtc-stt"]
    assert found["role"] == ["fallback", "gateway", "primary"]
    assert len(found["instance"]) == 3


def documents() -> Iterator[Path]:
    """All that is written for who deploys and runs it."""
    yield from (DOCS / "operate").glob("**/*.md")
    yield from [DOCS / "deploy.md", DOCS / "reference/metrics.md"]
    for ending in ("yaml", "yml", "tpl", "json", "md"):
        yield from DEPLOY.glob(f"**/*.{ending}")


def named(text: str) -> set[str]:
    """Metrics that a text names; the names of recording rules have a colon, and are looked for elsewhere."""
    return set(re.findall(r"(?<![\w:.\-/$])((?:rtc_)?stt_[a-z][a-z_]*[a-z])(?![\w:*./-])", text))


def test_every_metric_that_a_document_names_is_there(scraped: Api) -> None:
    known = set(scraped.ask("label/__name__/values"))
    missing = {
        (path.name, name)
        for path in documents()
        for name in named(path.read_text(encoding="utf-8"))
        if not {name, f"{name}_count"} & known and name not in ABSENT.keys() | NO_METRICS
    }
    assert missing == set()


def test_every_recording_rule_that_a_document_names_is_there() -> None:
    recorded = {name for name, _ in rules()}
    for path in documents():
        for name in re.findall(r"rtc_stt:[a-z_]+:[a-z0-9_]+", path.read_text(encoding="utf-8")):
            assert name in recorded, f"{path.name} names {name}"


def test_the_absent_are_known_to_the_reference() -> None:
    told = named((DOCS / "reference/metrics.md").read_text(encoding="utf-8"))
    assert {name.removesuffix("_bucket") for name in ABSENT if ":" not in name} <= told


def test_the_first_that_is_turned_away_is_seen(scraped: Api) -> None:
    """One session too many: the counter has been there before, so that Prometheus sees it rise."""
    found: list[dict[str, Any]] = scraped.ask("alerts")["alerts"]
    assert "RtcSttSessionsAtLimit" in {alert["labels"]["alertname"] for alert in found}
