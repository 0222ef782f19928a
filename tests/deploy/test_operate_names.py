"""What the pages of docs/operate name exists: metrics, alerts, commands, keys, routes, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtc_stt.cli import main
from rtc_stt.cli.common import GROUPS
from rtc_stt.config_keys import keys
from tests.deploy.blocks import read
from tools.alerts.objectives import alerts, recording_rules

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "operate").glob("*.md"))
RUNBOOKS = (ROOT / "docs/operate/runbooks.md").read_text(encoding="utf-8")

TROUBLES = (
    *("sporadic-502", "always-falling-back", "high-tail-latency", "gpu-out-of-memory"),
    *("ice-failures", "silent-audio", "jitter-and-loss"),
)
"""Those that are most often called about."""

OF_OTHERS = {"container_cpu_cfs_throttled_periods_total", "rtc_stt_gateway"}
"""What looks like a metric of ours and is none: one of the kubelet's, an upstream of nginx."""


COMMAND = re.compile(r"(?:^ *|\$\(|[|;&] |bin/)rtc-stt ([a-z]+(?: [a-z]+)?)", re.M)
"""Where one may begin in a block: a line, a pipe …"""

WITH_PARTS = ("bench", "config", "models")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def chapters() -> dict[str, str]:
    parts = re.split(r"^## (\S+)$", RUNBOOKS, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_metrics_are_there(page: Path) -> None:
    reference = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`((?:rtc_)?stt_\w+|process_\w+)`", reference))
    records = set(re.findall(r"record: (\S+)", recording_rules()))
    used = set(
        re.findall(r"(?<![\w./-])((?:rtc_)?stt[_:][a-z][\w:]*[a-z0-9]|process_[a-z_]+[a-z])\b", text(page))
    )
    bare = {name if name in told else re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    beginnings = {name for name in bare - told - records if any(metric.startswith(name) for metric in told)}
    modules = {path.stem for path in ROOT.glob("rtc_stt*")}
    assert bare - told - records - beginnings - modules - OF_OTHERS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_alerts_are_there(page: Path) -> None:
    assert set(re.findall(r"RtcStt[A-Z]\w+", text(page))) <= set(re.findall(r"- alert: (\w+)", alerts()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_are_there(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = [command for block in read(page) for command in COMMAND.findall(block.text)]
    told = re.findall(r"`rtc-stt ([a-z]+(?: [a-z]+)?)", text(page))
    for command in sorted({*run, *told}):
        words = command.split()
        with pytest.raises(SystemExit) as ended:
            main([*(words if words[0] in WITH_PARTS else words[:1]), "--help"])
        assert ended.value.code == 0, f"{command}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_keys_of_the_configuration_are_there(page: Path) -> None:
    ours = {spec.name for group in GROUPS for spec in keys(group).values()}
    first = {name.split("_")[0] for name in ours}
    used = {
        name
        for name in re.findall(r"`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)(?:=[^`]*)?`", text(page))
        if name.split("_")[0] in first
    }
    assert used - ours == set()


def test_the_troubles_that_people_have_are_told_of() -> None:
    assert set(TROUBLES) <= chapters().keys()


@pytest.mark.parametrize("name", TROUBLES)
def test_a_runbook_says_what_is_seen_why_and_what_to_do(name: str) -> None:
    chapter = chapters()[name]
    assert re.search(r"^\*.+\*$", chapter, re.M), "what is seen"
    assert "```sh\n" in chapter, "commands that tell"
    assert "| cause | mend |" in chapter, "causes told apart"
    assert "**Prevent**" in chapter
