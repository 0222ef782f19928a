"""The command line of the measurements of the services."""

from __future__ import annotations

import pytest

from tools.services import __main__ as command_line


def test_the_help_names_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["services", "--help"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert all(f"    {name}" in told for name in (*command_line.COMMANDS, "all"))
