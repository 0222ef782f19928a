"""One alert, and how Prometheus has it written. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent

__all__ = ["Alert", "write"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One of them."""

    name: str
    severity: str
    expression: str
    lasts: str
    summary: str
    runbook: str
    window: str = ""
    """The long one of an alert on a budget: such alerts are told apart by it."""


def write(alert: Alert) -> str:
    """As it stands in the file of rules."""
    window = f"          window: {alert.window}\n" if alert.window else ""
    return (
        f"      - alert: {alert.name}\n        expr: |\n{indent(alert.expression, ' ' * 10)}\n"
        f"        for: {alert.lasts}\n        labels:\n          severity: {alert.severity}\n{window}"
        f'        annotations:\n          summary: "{alert.summary}"\n'
        f"          runbook: docs/operate/runbooks.md#{alert.runbook}\n"
    )
