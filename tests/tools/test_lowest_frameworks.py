"""What is read of the list of lowest versions."""

from __future__ import annotations

import pytest

from tools.lowest_frameworks.__main__ import main
from tools.lowest_frameworks.environment import LOWEST, pinned


def test_comments_and_empty_lines_are_no_frameworks() -> None:
    assert pinned("# why\n\na==1\nb-c==2.0  # of a\n") == {"a": "1", "b-c": "2.0"}


def test_the_list_pins_what_it_names() -> None:
    found = pinned(LOWEST.read_text(encoding="utf-8"))
    assert {"livekit-agents", "pipecat-ai"} <= found.keys()
    assert all(version[0].isdigit() for version in found.values())


def test_without_tests_nothing_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "python -m tools.lowest_frameworks" in capsys.readouterr().err
