"""A recogniser in a Python environment of its own: a script there, and TCP on loopback between.

What is said there is in :mod:`rtc_stt.bench.peers.link`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.turns.target import Hear, Line
from rtc_stt.bench.turns.targets import keeper
from rtc_stt.bench.turns.targets.bridge_messages import HANG_UP, Ready, is_made, piece, read_line, read_ready
from rtc_stt.bench.turns.targets.flow import Flow
from rtc_stt.bench.turns.targets.pcm import pcm16
from rtc_stt.bench.turns.targets.reading import Unreadable
from rtc_stt.bench.turns.targets.tail import Tail
from rtc_stt.bench.turns.told import Failed
from rtc_stt.errors import TargetFailed

__all__ = ["BridgeTarget"]

MAX_LINE = 128 * 1024
"""Bytes: the longest transcript, with each character escaped."""

MAX_LINES_BEFORE = 10_000
"""Lines that libraries print while they load."""

MAX_WAITING = 60 * SAMPLE_RATE * 2
"""Bytes of sound that the script does not take: a minute. It will not catch up."""

CONNECT_TIMEOUT_S = 10.0

END_TIMEOUT_S = 5.0
"""Longer than the keeper's patience."""


class BridgeTarget:
    """See :class:`~rtc_stt.bench.turns.target.Target`.

    Args:
        argv: the other environment's Python, the script, and options of its own.
        model: a folder; None: the script's own.
        threads: of one decode.
        language: for all sessions; None: the script finds it out.
        start_timeout_s: for loading its models.
    """

    def __init__(
        self,
        *,
        argv: Sequence[str],
        model: str | None = None,
        hangover_ms: int = 500,
        threads: int = 1,
        language: str | None = None,
        start_timeout_s: float = 300.0,
    ) -> None:
        self._argv, self._model, self._language = list(argv), model, language
        self._hangover_ms, self._threads = hangover_ms, threads
        self._start_timeout_s = start_timeout_s
        self._process: asyncio.subprocess.Process | None = None
        self._tails: list[Tail] = []
        self._ready: Ready | None = None

    @property
    def name(self) -> str:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        scripts = [Path(word).stem for word in self._argv if word.endswith(".py")]
        return scripts[0] if scripts else "bridge"

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`. What the script says of itself is ``script``."""
        return {
            "kind": "bridge",
            "model": Path(self._model).name if self._model else "the script's own",
            "hangover_ms": self._hangover_ms,
            "threads": self._threads,
            "language": self._language or "auto",
            "script": dict(self._ready.facts) if self._ready else {},
        }

    async def start(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", keeper.__file__, *self._argv, *self._options()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
                start_new_session=True,
            )
        except OSError as error:
            raise TargetFailed(f"{self.name} does not start: {error.strerror}") from None
        assert self._process.stdout
        assert self._process.stderr
        errors = Tail(self._process.stderr)
        self._tails = [errors]
        try:
            async with asyncio.timeout(self._start_timeout_s):
                self._ready = await _wait_until_ready(self._process.stdout)
        except (Unreadable, TimeoutError) as error:
            late = f"it is not ready after {self._start_timeout_s:g} s"
            words = str(error) if isinstance(error, Unreadable) else late
            await self.close()
            said = await errors.end(0) or "(none)"
            raise TargetFailed(f"{self.name} does not start: {words}. Its last words:\n{said}") from None
        except asyncio.CancelledError:
            await self.close()
            raise
        self._tails.append(Tail(self._process.stdout))

    def _options(self) -> list[str]:
        options = ["--hangover-ms", str(self._hangover_ms), "--threads", str(self._threads)]
        options += ["--language", self._language or "auto"]
        return options + (["--model", self._model] if self._model else [])

    async def connect(self, hear: Hear, language: str | None) -> Line:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        assert self._ready, "start() comes first"
        if language not in (None, self._language):
            raise TargetFailed(f"{self.name} was not started for the language {language}")
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                streams = await asyncio.open_connection("127.0.0.1", self._ready.port, limit=MAX_LINE)
        except OSError:  # TimeoutError is one
            raise TargetFailed(f"{self.name} takes no connection: its script has ended or hangs") from None
        if self._ready.says_ready:
            await self._until_made(*streams)
        return BridgeLine(*streams, hear)

    async def _until_made(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A session may load a model of its own, and has not heard anything before."""
        try:
            async with asyncio.timeout(self._start_timeout_s):
                while line := await reader.readline():
                    if is_made(line):
                        return
            words = "it gives up"
        except TimeoutError:
            words = "it hangs"
        except (OSError, ValueError):  # ValueError: a line of over MAX_LINE bytes
            words = "it says what nobody can read"
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        writer.transport.abort()
        raise TargetFailed(f"{self.name} makes no session: {words}")

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin
        process.stdin.close()  # at which the keeper ends it
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for tail in self._tails:
            await tail.end(1.0)


async def _wait_until_ready(stdout: asyncio.StreamReader) -> Ready:
    """What the script says when it is.

    Raises:
        Unreadable: it ends before, or what it says cannot be understood.
    """
    for _ in range(MAX_LINES_BEFORE):
        try:
            line = await stdout.readline()
        except ValueError:
            raise Unreadable(f"it prints a line of over {MAX_LINE} bytes") from None
        if not line:
            raise Unreadable("it ended before it was ready")
        if ready := read_ready(line):
            return ready
    raise Unreadable(f"none of its first {MAX_LINES_BEFORE} lines says where to connect")


class BridgeLine:
    """One session with the script."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hear: Hear) -> None:
        self._reader, self._writer, self._hear = reader, writer, hear
        self._is_over = False
        self._task = asyncio.get_running_loop().create_task(self._read())

    def send(self, frame: Samples) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        if self._is_over:
            return
        self._writer.write(piece(pcm16(frame)))
        if self._writer.transport.get_write_buffer_size() > MAX_WAITING:
            self._fail("the script takes no sound: a minute of it waits")

    async def close(self) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        self._is_over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(1):
                self._writer.write(HANG_UP)
                self._writer.close()
                await self._writer.wait_closed()
        self._writer.transport.abort()

    async def _read(self) -> None:
        flow = Flow()
        while not self._is_over:
            try:
                line = await self._reader.readline()
                if not line:
                    return self._fail("the script closed the connection")
                if not flow.take(len(line), time.monotonic()):
                    return self._fail("the script says more than anybody can read")
                told = read_line(line)
            except OSError:
                return self._fail("the connection to the script broke")
            except Unreadable as error:
                return self._fail(str(error))
            except ValueError:
                return self._fail(f"the script sent a line of over {MAX_LINE} bytes")
            for one in told:
                if isinstance(one, Failed):
                    return self._fail(one.reason)
                self._hear(one)

    def _fail(self, words: str) -> None:
        """Tell it, once, and nothing after it."""
        if not self._is_over:
            self._is_over = True
            self._hear(Failed(words))
