"""The documents say what is true of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtc_stt.cli.common import GROUPS
from rtc_stt.config_keys import reference
from rtc_stt.events import EVENT_TYPES, Decision, DropReason, Reason
from rtc_stt.load import LOAD_WARNINGS
from tools.live_line.table import DOCUMENTS as WITH_TABLES
from tools.live_line.table import with_table

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tools/**/*.md")])


def test_the_configuration_reference_is_current() -> None:
    written = (ROOT / "docs/reference/configuration.env").read_text(encoding="utf-8")
    assert written == reference(GROUPS), "rtc-stt config reference > docs/reference/configuration.env"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_events_reference_names_every_event_and_value() -> None:
    text = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    for name in [*EVENT_TYPES, *Decision, *Reason, *DropReason]:
        assert f"`{name}`" in text or f" {name}" in text, f"{name} is not documented"


def test_the_events_reference_names_every_warning_of_load() -> None:
    text = (ROOT / "docs/reference/events.md").read_text(encoding="utf-8")
    for code, _ in LOAD_WARNINGS.values():
        assert f"`{code}`" in text, f"{code} is not documented"


def test_the_design_names_every_module() -> None:
    text = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    for package in ("rtc_stt", "signaling"):
        for module in (ROOT / package).glob("*.py"):
            if not module.name.startswith("__"):
                assert module.name in text, f"{package}/{module.name} has no line"


@pytest.mark.parametrize("document", WITH_TABLES, ids=lambda path: path.name)
def test_the_tables_show_the_committed_results(document: Path) -> None:
    assert document.read_text(encoding="utf-8") == with_table(document), "python -m tools.live_line table"
