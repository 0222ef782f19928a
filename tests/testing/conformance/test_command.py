"""``python -m rtc_stt.testing.conformance``, with a way that needs no server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rtc_stt.testing.conformance import Ended, Hear, Trait, WayFailed, __main__
from tests.testing.conformance.test_runner import FakeWay, Line


class Deaf(FakeWay):
    """Ends well, and has heard nothing."""

    async def open(self, hear: Hear) -> Line:
        line = await super().open(lambda told: hear(told) if isinstance(told, Ended) else None)
        self.traits = frozenset({Trait.PARTIALS})
        return line


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*arguments: str, way: FakeWay | None = None) -> int:
        fake = way or Deaf()
        monkeypatch.setattr(__main__, "WAYS", {"fake": lambda url, key: fake})
        always = ("--url", "http://127.0.0.1:9", "--pace", "50", "--at-once", "9")
        return __main__.main([*always, *arguments])

    return run


def test_what_is_as_it_has_to_be_is_said_in_one_line_each(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--conversations", "silence only,no audio at all") == 0
    told = capsys.readouterr().out
    assert "ok" in told
    assert "fake: silence only" in told
    assert "2 conversations, 0 with complaints" in told


def test_what_is_not_is_told_whole_and_fails(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--conversations", "one sentence") == 1
    told = capsys.readouterr().out
    assert "fake, one sentence: 1 complaints" in told
    assert "words: of" in told
    assert run("--conversations", "one sentence", "--max-wer", "1") == 0


def test_a_server_that_is_not_there_is_one_complaint_after_the_other(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--conversations", "silence only", way=FakeWay(refuses=WayFailed("no connection"))) == 1
    assert "it failed: no connection" in capsys.readouterr().out


def test_wrong_usage(run: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("--conversations", "small talk") == 2
    assert "there is no conversation small talk" in capsys.readouterr().err
    assert run("--clips", str(tmp_path)) == 1
    assert "manifest.json" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit:
        run("--ways", "carrier pigeon")
    assert exit.value.code == 2
