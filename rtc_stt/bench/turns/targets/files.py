"""Any recogniser of files, as if it listened: behind an HTTP endpoint that takes uploads, or a command.

Such a one cannot tell where a turn ends, so it is told: its endpoint is the true end of the turn and the
hangover after it. That is the best that any detector before it could do, and the facts say so.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Protocol

import yarl

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.scene import Turn
from rtc_stt.bench.turns.target import Hear, Line
from rtc_stt.bench.turns.targets.foreign_socket import public_url
from rtc_stt.bench.turns.targets.recordings import CommandReader, NotTranscribed, UploadReader, is_ours
from rtc_stt.bench.turns.targets.turn_cutter import Cut, TurnCutter
from rtc_stt.bench.turns.told import Endpoint, Failed, Final
from rtc_stt.errors import TargetFailed

__all__ = ["FilesTarget"]


class Reader(Protocol):
    """Something that transcribes recordings."""

    async def transcribe(self, samples: Samples, language: str | None) -> str:
        """16 kHz mono, shape ``(n,)``. Raises NotTranscribed."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class FilesTarget:
    """See :class:`~rtc_stt.bench.turns.target.Target`. One recording of a line is transcribed at a time.

    Args:
        url: where to POST: ``…/v1/transcribe`` is asked as rtc-stt is, any other as OpenAI's
            ``/v1/audio/transcriptions``. Or
        command: is run for each recording, without a shell, and prints the text, as in
            ``whisper-cli -nt -f {file}``. ``{file}`` stands for a WAV file, ``{language}`` for its language
            or ``auto``. It is kept in the result, so no key belongs into it.
        key: goes into the header ``Authorization``, and nowhere else.
        hangover_ms: waited after the true end of each turn.
        model: what an endpoint like OpenAI's is asked for.
    """

    name = "files"

    def __init__(
        self,
        *,
        url: str | None = None,
        command: str | None = None,
        key: str | None = None,
        hangover_ms: int = 500,
        model: str = "whisper-1",
    ) -> None:
        self._url, self._command, self._key = url, command, key
        self._hangover_ms, self._model = hangover_ms, model
        self._reader: Reader | None = None

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        how: dict[str, object] = {"command": self._command}
        if self._url:
            model = "the server's own" if is_ours(self._url) else self._model
            how = {"url": public_url(self._url), "model": model}
        return {
            "kind": "files",
            "endpoint": "from the known times",
            "hangover_ms": self._hangover_ms,
            **how,
        }

    async def start(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        if (self._url is None) == (self._command is None):
            raise TargetFailed("a recogniser of files is either a URL or a command")
        if self._url is not None:
            self._reader = UploadReader(_checked(self._url), self._key, self._model)
        elif self._command is not None:
            self._reader = CommandReader(_words(self._command))

    async def connect(self, hear: Hear, language: str | None) -> Line:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        assert self._reader, "start() comes first"
        return FilesLine(self._reader, hear, self._hangover_ms, language)

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        reader, self._reader = self._reader, None
        if reader:
            await reader.close()


def _checked(url: str) -> yarl.URL:
    try:
        address = yarl.URL(url)
    except ValueError:
        address = yarl.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise TargetFailed("the address of the target has to be like http://host/v1/audio/transcriptions")
    return address


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise TargetFailed(f"the command cannot be read: {error}") from None
    if not any("{file}" in word for word in words[1:]):
        raise TargetFailed(
            "the command has to say where the recording goes, as in: whisper-cli -nt -f {file}"
        )
    if not shutil.which(words[0]):
        raise TargetFailed(f"there is no program {words[0]}")
    return words


class FilesLine:
    """One speaker. Knows when turns end, see :class:`~rtc_stt.bench.turns.target.KnowsTurns`."""

    def __init__(self, reader: Reader, hear: Hear, hangover_ms: int, language: str | None) -> None:
        self._reader, self._hear, self._language = reader, hear, language
        self._cutter = TurnCutter(hangover_ms)
        self._cuts: asyncio.Queue[Cut] = asyncio.Queue()
        self._is_over = False
        self._task = asyncio.get_running_loop().create_task(self._work())

    def scene_begins(self, turns: Sequence[Turn], line_ms: int) -> None:
        """See :class:`~rtc_stt.bench.turns.target.KnowsTurns`."""
        self._cutter.scene_begins(turns, line_ms)

    def send(self, frame: Samples) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        if self._is_over:
            return
        for cut in self._cutter.push(frame):
            self._hear(Endpoint(cut.turn))
            self._cuts.put_nowait(cut)

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        self._is_over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while not self._is_over:
            cut = await self._cuts.get()
            try:
                text = await self._reader.transcribe(cut.samples, self._language)
            except NotTranscribed as error:
                self._is_over = True
                self._hear(Failed(str(error)))
            else:
                self._hear(Final(text, cut.turn))
