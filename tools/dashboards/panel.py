"""What a dashboard is made of, and how Grafana writes it down. Pure.

The form is that of Grafana 10 and later (its own types: ``tests/deploy/test_dashboards.py`` reads the result
through them).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CHOSEN",
    "JOB",
    "RED",
    "WINDOW",
    "YELLOW",
    "Board",
    "Panel",
    "Query",
    "Row",
    "by",
    "filled",
    "percentiles",
    "rate",
    "render",
]

CHOSEN = 'job=~"$job",role=~"$role",instance=~"$instance"'
"""What the variables at the top of a dashboard leave."""

JOB = 'job=~"$job"'
"""For recording rules, which know of no process."""

WINDOW = "$__rate_interval"

RUNBOOKS = "docs/operate/runbooks.md"
"""Where they are in this project. Where a reader finds that is the variable ``runbooks`` of a dashboard."""

WIDTH = 24
"""Columns of Grafana's grid."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED = "green", "yellow", "red"


@dataclass(frozen=True, slots=True)
class Query:
    """One question to Prometheus."""

    expr: str
    legend: str = ""
    """Of its lines; labels in double braces."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    title: str
    says: str
    """What it tells, and what is normal."""
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    """``timeseries``, or ``stat``: the last value alone."""
    limits: Sequence[tuple[float, str]] = ()
    """From these values on it has this colour; below the first it is green."""
    runbook: str = ""
    """The chapter of the runbooks."""
    width: int = 8
    stacked: bool = False
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one title."""

    title: str
    panels: Sequence[Panel]
    height: int = 8


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard."""

    uid: str
    title: str
    says: str
    rows: Sequence[Row]

    @property
    def panels(self) -> Iterator[Panel]:
        """All of them."""
        return (panel for row in self.rows for panel in row.panels)


# ── Questions ────────────────────────────────────────────────────────────


def rate(metric: str, *labels: str, matching: str = "") -> str:
    """Of a counter, each second, by labels."""
    selector = f"{metric}{{{CHOSEN}{',' if matching else ''}{matching}}}"
    return f"sum{by(*labels)} (rate({selector}[{WINDOW}]))"


def by(*labels: str) -> str:
    """``by (…)``, where there is anything to be told apart."""
    return f" by ({', '.join(labels)})" if labels else ""


def percentiles(metric: str, *labels: str) -> tuple[Query, ...]:
    """p50, p95 and p99 of a histogram, by labels."""
    words = " ".join(f"{{{{{label}}}}}" for label in labels)
    return tuple(
        Query(
            f"histogram_quantile({share}, {rate(f'{metric}_bucket', *labels, 'le')})",
            f"{name} {words}".strip(),
        )
        for name, share in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99"))
    )


def filled(expr: str, window: str = "30s") -> str:
    """As Grafana asks it with all chosen, and rates over ``window``."""
    for name, value in (("$job", ".*stt.*"), ("$role", ".*"), ("$instance", ".*"), (WINDOW, window)):
        expr = expr.replace(name, value)
    return expr


# ── As Grafana writes it ────────────────────────────────────────────────────────────


def render(board: Board) -> dict[str, Any]:
    """The dashboard, fit for JSON."""
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.says,
        "tags": ["rtc-stt"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,  # one crosshair on all panels
        "schemaVersion": 38,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "links": [_link("Runbooks", "${runbooks}"), _other_boards()],
        "templating": {"list": _variables()},
        "annotations": {"list": _annotations()},
        "panels": list(_placed(board.rows)),
    }


def _placed(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Rows under each other, panels beside each other."""
    top, number = 0, 0
    for row in rows:
        number += 1
        place = {"h": 1, "w": WIDTH, "x": 0, "y": top}
        yield {
            "type": "row",
            "id": number,
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        top, left = top + 1, 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left = top + row.height, 0
            number += 1
            place = {"h": row.height, "w": panel.width, "x": left, "y": top}
            yield _panel(panel, number, place)
            left += panel.width
        top += row.height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps = [
        {"value": None, "color": GREEN},
        *({"value": at, "color": colour} for at, colour in panel.limits),
    ]
    custom: dict[str, Any] = {}
    options: dict[str, Any] = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}
    if panel.kind == "timeseries":
        custom = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"},
        }
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": custom,
        "noValue": "nothing yet",
    }
    if panel.bounds:
        defaults["min"], defaults["max"] = panel.bounds
    if panel.kind == "stat":
        del defaults["custom"]
        defaults["color"] = {"mode": "thresholds"}
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.says + (f"\n\nRunbook: {RUNBOOKS}#{panel.runbook}" if panel.runbook else ""),
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [_target(query, place) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "links": [_link("Runbook", f"${{runbooks}}#{panel.runbook}")] if panel.runbook else [],
    }


def _target(query: Query, number: int) -> dict[str, Any]:
    return {
        "refId": "ABCDEFGHIJKL"[number],
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "range": True,
        "instant": False,
        "editorMode": "code",
    }


def _link(title: str, url: str) -> dict[str, Any]:
    return {
        "title": title,
        "type": "link",
        "icon": "external link",
        "tooltip": "",
        "url": url,
        "tags": [],
        "asDropdown": False,
        "targetBlank": True,
        "includeVars": False,
        "keepTime": False,
    }


def _other_boards() -> dict[str, Any]:
    return _link("rtc-stt", "") | {
        "type": "dashboards",
        "tags": ["rtc-stt"],
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }


def _variables() -> list[dict[str, Any]]:
    """Where from, and whose figures. All is a regular expression, so that it also takes what has no such
    label."""
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    asked = (
        ("job", 'label_values(up{job=~".*stt.*"}, job)'),
        ("role", 'label_values(up{job=~"$job"}, role)'),
        ("instance", 'label_values(up{job=~"$job",role=~"$role"}, instance)'),
    )
    where = {"name": "runbooks", "label": "Runbooks are at", "type": "textbox", "query": f"/{RUNBOOKS}"}
    return [source, *(_variable(name, question) for name, question in asked), where]


def _variable(name: str, question: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": question, "refId": name},
        "refresh": 2,  # with the range of time: processes come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*stt.*" if name == "job" else ".*",
        "current": {"text": "All", "value": "$__all", "selected": True},
    }


def _annotations() -> list[dict[str, Any]]:
    """Marks across all panels: starts of processes, and alerts."""
    begun = f"changes(process_start_time_seconds{{{CHOSEN}}}[$__rate_interval]) > 0"
    firing = 'ALERTS{alertstate="firing",alertname=~"RtcStt.*"}'
    return [
        {"name": name, "datasource": DATASOURCE, "enable": True, "iconColor": colour, "expr": expression}
        for name, colour, expression in (("Restarts", "blue", begun), ("Alerts", RED, firing))
    ]
