"""Calls of baresip, a SIP phone: it says a recording, in every codec, in the clear and by SRTP, and presses
keys.

All phones call at once; each test looks at its own call.
"""

from __future__ import annotations

import asyncio
import itertools
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from rtc_stt.bench.words import normalise
from tests.e2e.phones.baresip import baresip
from tests.e2e.phones.server import PhoneServer, phone_server
from tests.e2e.support import Clip, resample, silence
from tools.telephony.ear import HeardCall

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

CODECS = {"PCMU": (8_000, 1), "PCMA": (8_000, 1), "G722": (16_000, 1), "opus": (48_000, 2)}
"""What a phone takes from its microphone for each: samples a second, channels."""

SECURITY = {"clear": "", "sdes": ";mediaenc=srtp-mand"}
KEYS = "90*#"

Called = dict[tuple[str, str], "asyncio.Task[HeardCall]"]


def write_microphone(path: Path, clip: Clip, codec: str) -> Path:
    """What a phone hears: the clip, and then nothing for as long as it takes."""
    rate, channels = CODECS[codec]
    audio = np.concatenate([silence(0.6), clip.audio, silence(15)])
    pcm = np.clip(np.round(resample(audio, rate) * 32767), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(pcm, channels).tobytes())
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    baresip_program: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PhoneServer]:
    async with phone_server(tmp_path_factory.mktemp("phones")) as running:
        yield running


async def one_call(server: PhoneServer, folder: Path, clip: Clip, codec: str, security: str) -> HeardCall:
    """Call, speak, wait to be understood, press keys, hang up."""
    name = f"{codec}-{security}".lower()
    folder /= name
    folder.mkdir()
    wav = write_microphone(folder / "microphone.wav", clip, codec)
    rate, channels = CODECS[codec]
    account = f";audio_codecs={codec}/{rate}/{channels}{SECURITY[security]}"
    callee = f"sip:stt@127.0.0.1:{server.sip_port}"
    async with baresip(folder / "phone", wav, callee, account=account, name=name) as phone:
        await phone.call()
        await server.ear.until(name, lambda call: call.of("transcript.final"))
        await phone.press(KEYS)
        await server.ear.until(name, lambda call: len(call.keys()) >= len(KEYS))
        await phone.hang_up()
    return await server.ear.ended(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def called(
    server: PhoneServer, digits: list[Clip], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Called]:
    folder = tmp_path_factory.mktemp("baresip")
    tasks = {
        (codec, security): asyncio.create_task(one_call(server, folder, digits[0], codec, security))
        for codec, security in itertools.product(CODECS, SECURITY)
    }
    try:
        yield tasks
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("security", SECURITY)
@pytest.mark.parametrize("codec", CODECS)
async def test_a_phone_is_understood_and_each_press_comes_once(
    called: Called, digits: list[Clip], codec: str, security: str
) -> None:
    call = await called[codec, security]
    assert normalise(call.text("caller")) == normalise(digits[0].text)
    assert call.keys("caller") == KEYS
    assert call.is_whole
    assert call.reason == "hangup"
    (ended,) = call.of("leg.ended")
    assert ended["stats"]["codec"] == codec
    assert ended["stats"]["packets_lost"] == 0
