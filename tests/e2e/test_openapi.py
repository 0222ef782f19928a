"""The description at ``/openapi.json`` is true. Schemathesis asks for what it says, and what not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtc_stt.cli.demo import DEMO_VALUES
from tests.e2e import support

pytestmark = pytest.mark.e2e

KEY = "key-of-schemathesis-for-tests-only"
LIMITS = {"API_KEYS": KEY, "RATE_LIMIT_RPS": "10000", "RATE_LIMIT_BURST": "10000", "MAX_AUDIO_S": "60"}
UNTRUE = "positive_data_acceptance"
"""The one check that is left out: no schema can say what is a recording, or which languages a model knows."""

NOTHING: dict[str, dict[str, Any]] = {"interactions": {}}


def schemathesis(url: str, report: Path) -> subprocess.CompletedProcess[str]:
    """The same requests each time."""
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
            "--header", f"Authorization: Bearer {KEY}", "--phases", "coverage,fuzzing",
            "--max-examples", "20", "--generation-deterministic", "--no-shrink", "--no-color",
            "--checks", "all", "--exclude-checks", UNTRUE, "--report-ndjson-path", str(report),
        ],
        cwd=report.parent,  # where it leaves its cache
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.e2e.openapi_hooks", "PYTHONPATH": str(support.ROOT)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )  # fmt: skip


def answers(report: Path) -> Counter[tuple[int, str]]:
    """Statuses and content types of the endpoint that does the work, from the report of a run."""
    seen = Counter[tuple[int, str]]()
    for line in report.read_text(encoding="utf-8").splitlines():
        for interaction in (
            json.loads(line).get("ScenarioFinished", {}).get("recorder", NOTHING)["interactions"].values()
        ):
            if interaction["request"]["uri"].endswith("/v1/transcribe") and interaction["response"]:
                kind = interaction["response"]["headers"].get("content-type", [""])[0]
                seen[interaction["response"]["status_code"], kind.partition(";")[0]] += 1
    return seen


@pytest.mark.parametrize("command", [("primary", "--demo"), ("serve",)], ids=lambda command: command[0])
def test_the_service_answers_as_it_is_described(
    start_server: Callable[..., support.Process], tmp_path: Path, command: tuple[str, ...]
) -> None:
    models = {} if "--demo" in command else {name: v for name, (v, _) in DEMO_VALUES.entries.items()}
    server, report = start_server(*command, "--port", "0", **LIMITS, **models), tmp_path / "report.ndjson"
    done = schemathesis(server.url(), report)
    # What reproduces a failure is shown with whole recordings in it.
    told = "\n".join(line[:300] for line in done.stdout.splitlines())
    assert done.returncode == 0, told + done.stderr[-2_000:]
    seen = answers(report)
    assert {status for status, _ in seen} >= {200, 400, 401, 405, 415}, seen
    kinds = {kind for status, kind in seen if status == 200}
    assert kinds == {"application/json", "text/plain", "application/x-subrip", "text/vtt"}, seen
    server.stop()
