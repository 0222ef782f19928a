"""One recording to its text: by an upload, or by a command."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from pathlib import Path

import aiohttp
import yarl

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.targets.reading import MAX_TEXT, Unreadable, read_object, text
from rtc_stt.bench.turns.targets.tail import Tail
from rtc_stt.wav import to_wav

__all__ = ["CommandReader", "NotTranscribed", "UploadReader"]

TIMEOUT_S = 120.0
"""For one recording."""

MAX_ANSWER = 1 << 20
"""Bytes."""


class NotTranscribed(Exception):
    """There is no text of a recording. ``str()`` says why, without a secret."""


class UploadReader:
    """Asks an HTTP endpoint.

    Args:
        url: one that ends in ``/transcribe`` takes the field ``audio``, any other ``file`` and ``model``.
    """

    def __init__(self, url: yarl.URL, key: str | None, model: str) -> None:
        self._url, self._is_ours = url, url.path.endswith("/transcribe")
        self._fields = {} if self._is_ours else {"model": model}
        self._http = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=10),
        )

    async def transcribe(self, samples: Samples, language: str | None) -> str:
        """See :class:`~rtc_stt.bench.turns.targets.files.Reader`."""
        wav = await asyncio.to_thread(to_wav, samples)
        form = aiohttp.FormData({"response_format": "json", **self._fields})
        if language:
            form.add_field("language", language)
        form.add_field(
            "audio" if self._is_ours else "file", wav, filename="turn.wav", content_type="audio/wav"
        )
        try:
            async with self._http.post(self._url, data=form, allow_redirects=False) as response:
                if response.status != 200:
                    hint = ": look at the key" if response.status in (401, 403) else ""
                    raise NotTranscribed(f"the server answered with status {response.status}{hint}")
                return _read(await _bounded(response.content))
        except TimeoutError:
            raise NotTranscribed(f"no answer within {TIMEOUT_S:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # their messages may quote headers
            raise NotTranscribed(f"the server cannot be reached ({type(error).__name__})") from None

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.targets.files.Reader`."""
        await self._http.close()


async def _bounded(body: aiohttp.StreamReader | asyncio.StreamReader) -> bytes:
    """All of it.

    Raises:
        NotTranscribed: it is too long for a transcript.
    """
    pieces, size = [], 0
    while got := await body.read(MAX_ANSWER):
        pieces.append(got)
        size += len(got)
        if size > MAX_ANSWER:
            raise NotTranscribed(f"the answer has over {MAX_ANSWER} bytes")
    return b"".join(pieces)


def _read(answer: bytes) -> str:
    try:
        told = read_object(answer)
        if "text" not in told:
            raise Unreadable("the answer has no text")
        return text(told, "text").strip()
    except Unreadable as error:
        raise NotTranscribed(str(error)) from None


class CommandReader:
    """Runs a program for each recording.

    Args:
        words: its name and arguments, with ``{file}`` and ``{language}`` where they go.
    """

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._folder = tempfile.TemporaryDirectory(prefix="rtc-stt-turns-")
        self._count = 0

    async def transcribe(self, samples: Samples, language: str | None) -> str:
        """See :class:`~rtc_stt.bench.turns.targets.files.Reader`."""
        self._count += 1
        path = Path(self._folder.name) / f"{self._count}.wav"
        path.write_bytes(await asyncio.to_thread(to_wav, samples))
        places = {"{file}": str(path), "{language}": language or "auto"}
        try:
            said = await _run([_fill(word, places) for word in self._words])
        finally:
            path.unlink(missing_ok=True)
        words = " ".join(said.decode("utf-8", "replace").split())
        if len(words) > MAX_TEXT:
            raise NotTranscribed(f"the command printed over {MAX_TEXT} characters")
        return words

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.targets.files.Reader`."""
        self._folder.cleanup()


def _fill(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(name, value)
    return word


async def _run(argv: list[str]) -> bytes:
    """What the program prints.

    Raises:
        NotTranscribed: it fails, or takes too long.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise NotTranscribed(f"the command does not start: {error.strerror}") from None
    assert process.stdout
    assert process.stderr
    errors = Tail(process.stderr)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said = await _bounded(process.stdout)
            code = await process.wait()
    except TimeoutError:
        raise NotTranscribed(f"the command has not ended after {TIMEOUT_S:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        last_words = await errors.end(1.0)
    if code:
        last = last_words.splitlines()[-1][:200] if last_words else "without a word"
        raise NotTranscribed(f"the command ended with exit code {code}: {last}")
    return said
