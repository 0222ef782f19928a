"""What is sent is what was given, as often as it must be."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.client import recording as recording_module
from rtc_stt.client.recording import Audio, Form, Recording, open_recording
from rtc_stt.errors import BadAudio, BadRequest


async def all_of(audio: Audio) -> bytes:
    async with open_recording(audio) as recording:
        return await asyncio.to_thread(recording.read, 0, recording.size)


async def body_of(form: Form) -> bytes:
    return b"".join([piece async for piece in form.body()])


async def test_a_path_bytes_and_a_file_are_their_bytes(tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF and so on")
    assert await all_of(path) == b"RIFF and so on"
    assert await all_of(str(path)) == b"RIFF and so on"
    assert await all_of(b"RIFF and so on") == b"RIFF and so on"
    with path.open("rb") as file:
        file.seek(5)
        assert await all_of(file) == b"and so on", "from where it stands"
        assert not file.closed


async def test_samples_become_wav():
    with wave.open(io.BytesIO(await all_of(np.zeros(160, np.float32)))) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 160)
    assert await all_of(np.full(3, 0.5, np.float64)) == await all_of(np.full(3, 0.5, np.float32))


async def test_what_is_opened_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened = []
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")
    monkeypatch.setattr(
        recording_module.Path, "open", lambda self, mode: opened.append(io.FileIO(self)) or opened[0]
    )
    async with open_recording(path):
        assert not opened[0].closed
    assert opened[0].closed


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ("/nowhere/a.wav", "/nowhere/a.wav: No such file"),
        ("/", "Is a directory"),
        ("a\0b", "null"),
        (np.zeros(10, np.int16), "not int16"),
        (np.zeros((2, 10), np.float32), "one row"),
        (np.array([np.nan], np.float32), "no finite"),
        (io.StringIO("text"), "mode 'rb'"),
    ],
)
async def test_what_cannot_be_sent_is_an_error_before_anything_is(audio, message):
    with pytest.raises(BadAudio, match=message):
        await all_of(audio)


@pytest.mark.parametrize("audio", [None, 7, [0.0, 0.1]])
async def test_what_is_no_audio_at_all_is_a_mistake_in_the_program(audio):
    with pytest.raises(TypeError, match="audio is a path"):
        await all_of(audio)


async def test_a_pipe_cannot_be_rewound():
    read, write = os.pipe()
    os.close(write)
    with open(read, "rb") as pipe, pytest.raises(BadAudio, match="can seek"):  # noqa: ASYNC230
        await all_of(pipe)


async def test_a_file_that_is_taken_away_while_it_is_sent_is_told(tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"0123456789")
    async with open_recording(path) as recording:
        form = Form(recording, {})
        os.truncate(path, 4)
        with pytest.raises(BadAudio, match="shorter"):
            await body_of(form)
        assert form.error
    file = io.BytesIO(b"0123456789")
    async with open_recording(file) as recording:
        file.close()
        with pytest.raises(BadAudio, match="any more"):
            await body_of(Form(recording, {}))


async def test_a_file_that_grows_is_sent_as_it_was(tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"0123456789")
    async with open_recording(path) as recording:
        form = Form(recording, {})
        with path.open("ab") as more:
            more.write(b"x" * 100)
        body = await body_of(form)
    assert b"\r\n\r\n0123456789\r\n--" in body
    assert len(body) == int(form.headers["Content-Length"])


@settings(max_examples=30)
@given(
    st.binary(max_size=50),
    st.dictionaries(st.sampled_from(["language", "prompt", "hotwords"]), st.text(max_size=40)),
    st.integers(1, 20),
)
async def test_a_form_is_as_long_as_it_says_and_the_same_each_time(data, fields, piece):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recording_module, "PIECE", piece)
        async with open_recording(data) as recording:
            form = Form(recording, fields)
            body = await body_of(form)
            assert body == await body_of(form)
    assert len(body) == int(form.headers["Content-Length"])
    assert data in body
    assert all(value.encode() in body for value in fields.values())


async def test_what_is_no_text_is_an_error():
    async with open_recording(b"RIFF") as recording:
        with pytest.raises(BadRequest, match="prompt"):
            Form(recording, {"prompt": "\ud800"})


async def test_attempts_that_overlap_do_not_disturb_each_other():
    """One was given up while its thread still reads; the next reads from the beginning."""
    data = os.urandom(400_000)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        async with open_recording(file) as recording:
            bodies = await asyncio.gather(*(body_of(Form(recording, {})) for _ in range(5)))
    assert all(data in body for body in bodies)


def test_reading_beyond_the_end_is_an_error():
    recording = Recording(io.BytesIO(b"abc"), 3)
    assert recording.read(1, 2) == b"bc"
    with pytest.raises(BadAudio):
        recording.read(1, 3)
    assert isinstance(recording.error, BadAudio)
