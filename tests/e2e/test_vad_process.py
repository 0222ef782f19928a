"""Sessions whose detector is a process of its own, which is killed while they speak."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping

import numpy as np
import psutil
import pytest

from rtc_stt.loading import DEMO_VALUES, Values, make_speech
from rtc_stt.session import Session
from rtc_stt.vad import ProcessBatcher
from tests.e2e import support
from tests.e2e.support import Clip
from tools.ingest import opus
from tools.ingest.speaker import Speaker

pytestmark = pytest.mark.e2e

PROCESS = {"VAD_PROCESS": "true"}


def one_line(clips: list[Clip]) -> np.ndarray:
    return np.concatenate([part for clip in clips for part in (support.silence(0.8), clip.audio)])


async def test_a_detector_that_is_killed_in_mid_speech_costs_no_word(sentences: list[Clip]) -> None:
    """Every two seconds of audio, wherever that is: in a word, in a pause, in the hangover."""
    values = Values({name: (value, "test") for name, value in PROCESS.items()}).over(DEMO_VALUES)
    audio, wanted = one_line(sentences[:2]), " ".join(clip.text for clip in sentences[:2])
    speech = make_speech(values)
    assert isinstance(speech.vad, ProcessBatcher)
    killed, heard_s = set[int](), 0.0

    def kill(session: Session) -> None:
        nonlocal heard_s
        if session.heard_s - heard_s >= 2 and speech.vad.pid and speech.vad.pid not in killed:
            heard_s = session.heard_s
            killed.add(speech.vad.pid)
            os.kill(speech.vad.pid, signal.SIGKILL)

    try:
        disturbed = await support.hear(speech, audio, watch=kill)
    finally:
        await speech.aclose()
    assert support.text_of(disturbed) == wanted
    assert len(killed) >= 2
    assert disturbed[-1].type == "session.ended"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[support.Process]:
    log = tmp_path_factory.mktemp("vad") / "server.log"
    process = support.Process(log, "demo", "--port", "0", MEDIA_WORKERS="1", **PROCESS)
    try:
        process.url()
        yield process
        all_of_it = psutil.Process(process.process.pid).children(recursive=True)
        process.terminate()
        process.wait()
        assert not [one for one in all_of_it if one.is_running()], "a process is left behind"
    finally:
        process.kill()


def detectors(server: support.Process) -> Mapping[str, psutil.Process]:
    """By whose they are."""
    found = {}
    for child in psutil.Process(server.process.pid).children(recursive=True):
        if "rtc_stt.vad.child" in child.cmdline():
            parent = child.parent()
            assert parent
            found["front" if parent.pid == server.process.pid else "worker"] = child
    return found


async def test_front_and_worker_have_one_each_and_go_on_where_it_is_killed(
    server: support.Process, sentences: list[Clip]
) -> None:
    clip = sentences[0]
    assert detectors(server).keys() == {"front", "worker"}
    before = detectors(server)["worker"]
    async with Speaker(server.url()) as speaker:
        speaker.say(opus.encode(np.concatenate([support.silence(0.3), clip.audio, support.silence(1)])))
        await asyncio.sleep(0.3 + clip.seconds / 2)
        before.kill()
        await speaker.ear.wait_for("transcript.final", timeout=20)
        assert speaker.ear.finals[-1].text == clip.text
    assert detectors(server)["worker"].pid != before.pid
    assert "the detector's process has ended" in server.log
