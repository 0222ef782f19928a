"""The command lines of the measurements: each command is there, and tells of its options."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

COMMANDS = {
    "ingest": ("cycles", "hostile", "loss", "receive", "soak", "workers"),
    "live_line": ("latency", "accuracy", "soak", "detector", "table"),
    "services": ("load", "memory", "soak", "all"),
    "telephony": ("flood", "impairments", "latency", "load", "resample", "sequence", "timers", "vad"),
}


CALLS = [(package, name) for package, names in COMMANDS.items() for name in names]


@pytest.fixture
def ask_for_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a package tells of itself, or of one of its commands."""

    def ask(package: str, *command: str) -> str:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # one of them sets it
        monkeypatch.setattr("sys.argv", [package, *command, "--help"])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"tools.{package}.__main__").main()
        assert ended.value.code == 0
        return capsys.readouterr().out

    return ask


@pytest.mark.parametrize("package", COMMANDS)
def test_the_help_names_every_command(package: str, ask_for_help: Callable[..., str]) -> None:
    told = ask_for_help(package)
    assert all(f"    {name}" in told for name in COMMANDS[package])


@pytest.mark.parametrize(("package", "name"), CALLS)
def test_a_command_that_gives_a_result_writes_it(
    package: str, name: str, ask_for_help: Callable[..., str]
) -> None:
    assert ("--out" in ask_for_help(package, name)) == (name not in ("all", "table"))
