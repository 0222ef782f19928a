"""``rtc-stt bench wer``: what it asks for, what it writes, and its exit code."""

from __future__ import annotations

import json
import math

import pytest

from rtc_stt.bench.wer.accuracy import Ears
from rtc_stt.cli import bench_wer, main
from rtc_stt.hypothesis import Tier
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, hypothesis, render
from rtc_stt.wav import to_wav

SCRIPT = [Said(500, 900, "one"), Said(1_000, 1_400, "two"), Said(1_500, 1_900, "three")]


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch):
    """Nothing of this machine's configuration."""
    for name in ("CONFIG_PATH", "CT2_SMALL_PATH", "CT2_MEDIUM_PATH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    for name, said in (("a", "One, two, three!"), ("b", "one two four")):
        (tmp_path / f"{name}.wav").write_bytes(to_wav(render(SCRIPT, 3_000)))
        (tmp_path / f"{name}.txt").write_text(said)
    return tmp_path


@pytest.fixture
def scripted(monkeypatch):
    """Engines that know the script, in place of models; what they were made with."""
    made = []

    def unsure(request, text):
        return hypothesis(request, text.replace("two", "too"), avg_logprob=math.log(0.5))

    def make(values, language):
        made.append((values, language))
        fast = ScriptedEngine(SCRIPT, name="small", answer=unsure)
        return Ears({Tier.FAST: fast, Tier.ACCURATE: ScriptedEngine(SCRIPT)}, ScriptedVad(SCRIPT))

    monkeypatch.setattr(bench_wer, "make_ears", make)
    return made


def wer(*arguments):
    return main(["bench", "wer", "--demo", "--workers", "1", *map(str, arguments)])


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["bench", "wer", "--help"])
    assert exit.value.code == 0
    assert "example:\n  rtc-stt bench wer" in capsys.readouterr().out


def test_the_result_the_picture_and_the_rows_are_written(folder, scripted, tmp_path, capsys):
    out = tmp_path / "results"
    assert wer(folder, "--out", out / "w.json", "--plot", out / "w.svg", "--rows", out / "w.jsonl") == 0
    result = json.loads((out / "w.json").read_text())
    assert (result["measurement"], result["form"]) == ("wer", 1)
    assert result["data"] | {"sha256": ""} == {"folder": folder.name, "layout": "pairs", "sha256": ""}
    assert (result["device"], result["workers"], result["interrupted"]) == ("cpu", 1, False)
    rates = result["rates"]["all"]
    assert [rates[way]["wer"]["percent"] for way in ("fast", "accurate", "routed")] == [50.0, 16.67, 16.67]
    assert result["redecoded"]["redecoded"] == 2
    assert result["routing"]["CONF_LOGPROB_THRESHOLD"] == 0.9
    models = result["provenance"]["models"]
    assert (models["fast"]["name"], models["accurate"]["beam_size"]) == ("demo-tiny", 5)
    assert len(models["fast"]["model.bin"]) == 16
    assert str(folder) not in json.dumps(result)
    assert (out / "w.svg").read_text().startswith("<svg")
    said = [json.loads(line) for line in (out / "w.jsonl").read_text().splitlines()]
    assert [(row["id"], row["fast"], row["routed"]) for row in said] == [
        ("a.wav", "one too three", "one two three"),
        ("b.wav", "one too three", "one two three"),
    ]
    printed = capsys.readouterr().out
    assert "2 recordings" in printed
    assert "CONF_LOGPROB_THRESHOLD=" in printed


def test_the_language_goes_along(folder, scripted):
    assert wer(folder, "--language", "de") == 0
    assert scripted[0][1] == "de"


def test_a_recording_that_cannot_be_read_exits_with_one(folder, scripted, tmp_path, capsys):
    (folder / "b.wav").write_bytes(b"no sound")
    out = tmp_path / "w.json"
    assert wer(folder, "--out", out) == 1
    assert "b.wav is left out" in capsys.readouterr().err
    result = json.loads(out.read_text())
    assert (result["recordings"], result["unreadable"]) == (1, 1)
    (folder / "a.wav").write_bytes(b"no sound")
    assert wer(folder, "--out", out) == 1
    assert "nothing was measured" in capsys.readouterr().err


def test_verify_is_said_not_to_be_measured(folder, scripted, monkeypatch, capsys):
    monkeypatch.setenv("REDECODE_MODE", "verify")
    assert wer(folder) == 0
    assert "REDECODE_MODE=verify is not measured" in capsys.readouterr().err


def test_both_models_are_needed(folder, monkeypatch, capsys):
    assert main(["bench", "wer", str(folder)]) == 1
    assert "set CT2_SMALL_PATH" in capsys.readouterr().err
    monkeypatch.setenv("CT2_SMALL_PATH", str(folder))
    assert main(["bench", "wer", str(folder)]) == 1
    assert "set CT2_MEDIUM_PATH" in capsys.readouterr().err


def test_a_folder_without_recordings_is_said(tmp_path, capsys):
    assert wer(tmp_path) == 1
    assert "has no recordings with transcripts" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--limit", "--workers"])
@pytest.mark.parametrize("value", ["0", "-1", "x"])
def test_counts_are_from_one_on(tmp_path, option, value, capsys):
    with pytest.raises(SystemExit):
        wer(tmp_path, option, value)
    assert "is not a number from 1 on" in capsys.readouterr().err
