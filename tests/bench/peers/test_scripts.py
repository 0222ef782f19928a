"""What the peers say, in the words of the benchmark, with stand-ins that have the face of their packages."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rtc_stt.bench import peers


@pytest.fixture
def script(monkeypatch):
    """One of them, as it finds itself in its own environment."""
    monkeypatch.syspath_prepend(str(Path(peers.__file__).parent))

    def load(name):
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


class Told(list):
    """Collects what is told, from any thread."""

    def __call__(self, type, **fields):
        self.append((type, *fields.values()))

    def wait(self, count):
        deadline = time.monotonic() + 5
        while len(self) < count and time.monotonic() < deadline:
            time.sleep(0.001)
        return list(self)


def segment(text, start="0.000", completed=False):
    return {"text": f" {text}", "start": start, "end": "9.000", "completed": completed}


def test_a_complete_segment_of_whisperlive_is_news_once(script):
    transcript = script("whisperlive").Transcript()
    assert transcript.take(segment("one")) == "partial"
    assert transcript.take(segment("one two", completed=True)) == "final"
    assert transcript.take(segment("one two", completed=True)) == ""
    assert transcript.take(segment("three", start="2.100")) == "partial"
    assert transcript.take(segment("one two", start="4.000", completed=True)) == "final"
    assert transcript.take(segment("")) == ""


class Iterator:
    """Silero's, for sound whose loudness is speech: two loud windows begin, two quiet ones end."""

    def __init__(self, model, min_silence_duration_ms, speech_pad_ms):
        self.asked = (min_silence_duration_ms, speech_pad_ms)
        self._speaks = False

    def __call__(self, window):
        assert window.shape == (512,)
        assert window.dtype == np.float32
        was, self._speaks = self._speaks, bool(np.abs(window).max() > 0.1)
        return {"start": 0} if self._speaks > was else {"end": 0} if was > self._speaks else None


class Recogniser:
    """Says how long the segment is, in windows; nothing where it is told to be deaf."""

    def __init__(self, *, is_deaf=False):
        self._is_deaf = is_deaf

    def text(self, audio):
        return "" if self._is_deaf else f"{len(audio) // 512}"


def speak(session, windows, level):
    """So many windows, in pieces of 20 ms."""
    pcm = np.full(512 * windows, int(32767 * level), np.int16).tobytes()
    for place in range(0, len(pcm), 640):
        session.hear(pcm[place : place + 640])


@pytest.fixture
def segments(script, monkeypatch):
    iterator = SimpleNamespace(VADIterator=Iterator, load_silero_vad=lambda onnx: None)
    monkeypatch.setitem(sys.modules, "silero_vad", iterator)
    return script("faster_whisper_segments")


def test_a_segment_is_transcribed_when_it_ends_and_each_second_before(segments):
    told = Told()
    session = segments.Segments(told, Recogniser(), 500)
    speak(session, 20, 0)
    speak(session, 40, 0.5)  # 1.28 s
    assert [kind for kind, _ in told.wait(1)] == ["partial"]
    speak(session, 5, 0)
    before = 0.2 * 16_000 // 512 + 1
    assert told.wait(3)[1:] == [("endpoint",), ("final", f"{before + 40:.0f}")]
    session.close()


def test_a_segment_without_text_is_dropped(segments):
    told = Told()
    session = segments.Segments(told, Recogniser(is_deaf=True), 500)
    speak(session, 10, 0.5)
    speak(session, 2, 0)
    assert told.wait(2) == [("endpoint",), ("dropped", "no text")]
    session.close()


class FakeRecorder:
    """RealtimeSTT's face, as far as the script uses it."""

    def __init__(self, on_realtime_transcription_update, on_recording_stop, **settings):
        self.show, self.stop, self.settings = on_realtime_transcription_update, on_recording_stop, settings
        self.heard = b""
        self.finals: list[str] = []
        self.ready = threading.Semaphore(0)
        self.is_over = False

    def feed_audio(self, pcm):
        self.heard += pcm

    def text(self):
        self.ready.acquire()
        return self.finals.pop(0) if self.finals else ""

    def abort(self):
        self.ready.release()

    def shutdown(self):
        self.is_over = True


def test_what_realtimestt_calls_back_is_told(script, monkeypatch):
    monkeypatch.setitem(sys.modules, "RealtimeSTT", SimpleNamespace(AudioToTextRecorder=FakeRecorder))
    told = Told()
    session = script("realtimestt").Recorder(told, {"model": "folder"})
    recorder = session._recorder
    session.hear(b"ab")
    recorder.show(" Set an ")
    recorder.show("  ")
    recorder.stop()
    for text in ("", " Set an alarm. "):
        recorder.finals.append(text)
        recorder.ready.release()
    assert told.wait(3) == [("partial", "Set an"), ("endpoint",), ("final", "Set an alarm.")]
    session.close()
    assert (recorder.heard, recorder.is_over, recorder.settings) == (b"ab", True, {"model": "folder"})
