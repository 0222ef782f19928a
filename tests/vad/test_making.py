"""When the detector has a process of its own."""

from __future__ import annotations

import sys

import pytest

from rtc_stt.config_keys import Values, build
from rtc_stt.errors import ConfigError, ModelError
from rtc_stt.instrument import Instrument
from rtc_stt.vad import Detection, ProcessBatcher, VadBatcher, make_vad


def detection(text: str) -> Detection:
    return build(Detection, Values({"VAD_PROCESS": (text, "environment")}))


@pytest.mark.parametrize(
    ("text", "sessions", "has_process"),
    [
        ("auto", 0, False),
        ("auto", 32, False),
        ("auto", 63, False),
        ("auto", 64, True),
        ("auto", 302, True),
        ("true", 0, True),
        ("false", 1000, False),
    ],
)
def test_where_it_has_a_process(text, sessions, has_process):
    assert detection(text).has_process(sessions) is has_process


def test_a_system_that_cannot_do_so_has_threads(monkeypatch):
    monkeypatch.setattr("rtc_stt.vad.settings.os.name", "nt")
    assert not detection("auto").has_process(1000)
    with pytest.raises(ConfigError, match="VAD_PROCESS=true"):
        detection("true")


def test_another_word_is_refused():
    with pytest.raises(ConfigError, match="one of auto, true, false"):
        detection("maybe")


def test_where_nobody_asks_for_more_it_is_a_thread():
    made = make_vad(Detection(), 0, Instrument())
    assert isinstance(made, VadBatcher)
    made.close()


@pytest.mark.e2e
def test_where_many_speak_it_is_a_process():
    made = make_vad(Detection(), 64, Instrument())
    assert isinstance(made, ProcessBatcher)
    made.close()


def test_where_there_can_be_no_process_auto_takes_a_thread_and_true_says_so(monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    made = make_vad(Detection(), 64, Instrument())
    assert isinstance(made, VadBatcher)
    made.close()
    assert "the detector runs in a thread" in caplog.text
    with pytest.raises(ModelError, match="cannot be begun"):
        make_vad(detection("true"), 64, Instrument())
