"""The plugins with the lowest versions of their frameworks that they say they support."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest

from tests.e2e.support import ROOT
from tools.lowest_frameworks.environment import INSIDE, LOWEST, make, pinned

pytestmark = pytest.mark.e2e

FRAMEWORKS = {"livekit-agents": "livekit", "pipecat-ai": "pipecat"}
"""And the extra that asks for it."""

NAMED = "decides or eager or broken or speech or anew or refusals or whoever"
"""Of the tests of whole pipelines, those that see most of a framework."""


def test_the_extras_ask_for_the_versions_that_are_tested() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    lowest = pinned(LOWEST.read_text("utf-8"))
    for framework, extra in FRAMEWORKS.items():
        (asked,) = (text for text in extras[extra] if text.startswith(framework))
        told = asked.removeprefix(framework).removeprefix(">=").partition(",")[0]
        assert lowest[framework].startswith(told), asked


@pytest.mark.alone
@pytest.mark.long
@pytest.mark.timeout(300)  # pip may have to fetch them
@pytest.mark.skipif(os.environ.get(INSIDE) == "1", reason="this is inside")
def test_the_plugins_run_on_them() -> None:
    python = make()
    ask = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    told = subprocess.run(
        [python, "-c", ask, *FRAMEWORKS],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    lowest = pinned(LOWEST.read_text("utf-8"))
    assert told == [lowest[framework] for framework in FRAMEWORKS]
    done = subprocess.run(
        [sys.executable, "-m", "tools.lowest_frameworks", "-x",
         "tests/plugins", "tests/e2e/test_livekit.py", "tests/e2e/test_pipecat.py",
         "-k", f"plugins or {NAMED}"],
        cwd=ROOT, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
