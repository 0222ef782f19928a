"""What is not speech never becomes a transcript, with the real detector and the demo models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from rtc_stt.bench import noises
from rtc_stt.session import Speech
from tests.e2e import support

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

SECONDS = 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech() -> AsyncIterator[Speech]:
    speech = support.demo_speech()
    yield speech
    await speech.aclose()


@pytest.mark.parametrize("kind", noises.NOT_SPEECH)
async def test_what_is_not_speech_gets_no_final(speech: Speech, kind: str) -> None:
    wave = np.concatenate(list(noises.stretches(kind, SECONDS)))
    told = await support.hear(speech, wave)
    assert [final.text for final in support.finals(told)] == []
    assert told[-1].type == "session.ended"
    assert not [event for event in told if event.type in ("warning", "error")]
