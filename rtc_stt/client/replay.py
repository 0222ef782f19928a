"""What a client keeps of its audio, so that it can say again what did not arrive. Pure.

::

    position   0 … received by the server │ on its way │ not sent yet … end
                                          └─ start     └─ sent
"""

from __future__ import annotations

import json
from collections import deque

from rtc_stt.client.reconnect import Answer
from rtc_stt.commands import Command

__all__ = ["Replay", "answer_of"]

_STATUS = {1001: 503, 1012: 503, 1013: 503, 4400: 400, 4401: 401, 4404: 404, 4429: 429}


def answer_of(close_code: int | None, last_words: str) -> Answer | None:
    """What HTTP would have said, where a server closes a WebSocket before it greets; None: nothing sure.

    Args:
        last_words: the last text that came, an ``error`` where the server had one to tell.
    """
    status = _STATUS.get(close_code or 0)
    if status is None:
        return None
    try:
        message = str(json.loads(last_words)["message"])[:300]
    except (ValueError, KeyError, TypeError):
        message = ""
    return Answer(status, message)


class Replay:
    """Audio as bytes, and the commands between it, until the server has received them.

    Positions are bytes since the client began. The server counts samples from 0 in each session: where that
    is here, :meth:`welcome` works out.

    Args:
        limit: of what is kept, in bytes. Beyond it the oldest is given up.
        window: how much may be on its way, in bytes: what is there no one can take back, and a ping waits
            behind it.
        frame_bytes: a sample of all channels.
    """

    def __init__(self, *, limit: int, window: int, frame_bytes: int) -> None:
        self._limit = limit
        self._window = window
        self._frame_bytes = frame_bytes
        self._data = bytearray()
        self._commands: deque[tuple[int, Command]] = deque()
        self._told = 0  # commands that this connection has been told
        self._origin = 0  # where the server's count began
        self.start = 0
        """Position of the oldest that is kept."""
        self.sent = 0
        """Up to here this connection has been told."""

    @property
    def end(self) -> int:
        """Position just after the newest."""
        return self.start + len(self._data)

    @property
    def room(self) -> int:
        """Bytes that can be taken and nothing is given up."""
        return max(0, self._limit - len(self._data))

    def put(self, audio: bytes) -> int:
        """Take audio; gives how many bytes had to be given up that were never sent."""
        self._data += audio
        excess = len(self._data) - self._limit
        if excess <= 0:
            return 0
        self._forget(self.start + excess + -excess % self._frame_bytes)
        skipped = max(0, self.start - self.sent)
        self._origin += skipped  # the server counts on without them
        self.sent += skipped
        return skipped

    def say(self, command: Command) -> None:
        """Take a command; it comes after the audio taken so far."""
        self._commands.append((self.end - len(self._data) % self._frame_bytes, command))

    def next(self, size: int) -> bytes | Command | None:
        """What to send next: a command, or audio of ``size`` bytes at most; None where that must wait."""
        if self._told < len(self._commands) and self._commands[self._told][0] <= self.sent:
            self._told += 1
            return self._commands[self._told - 1][1]
        until = min(self.end, self.sent + size, self.start + self._window)
        if self._told < len(self._commands):
            until = min(until, self._commands[self._told][0])
        until -= (until - self.start) % self._frame_bytes
        if until <= self.sent:
            return None
        audio = bytes(self._data[self.sent - self.start : until - self.start])
        self.sent = until
        return audio

    def received(self, samples: int) -> None:
        """The server has so much of this session's audio: that is not needed any more."""
        position = min(self.sent, self._origin + samples * self._frame_bytes)
        if position > self.start:
            self._forget(position)
        while self._commands and self._commands[0][0] < position:
            self._commands.popleft()
            self._told -= 1

    def welcome(self, samples: int, *, anew: bool) -> int:
        """A connection stands, and the server has so much of its session's audio: go on behind that.

        Args:
            anew: the session is a new one. It hears what the one before has not confirmed.

        Returns:
            Bytes that the server lacks and that are not kept any more.
        """
        if anew:
            self._origin = self.start - samples * self._frame_bytes
        position = self._origin + samples * self._frame_bytes
        lost = max(0, self.start - position)
        self._origin += lost
        self.sent = min(max(position, self.start), self.end)
        self._told = 0
        self.received(samples)
        self._told = 0
        return lost

    def pending(self) -> list[Command]:
        """The commands that the server may not have heard."""
        return [command for _, command in self._commands]

    def say_first(self, commands: list[Command]) -> None:
        """Put commands before all that is to be sent: a new session knows nothing of them."""
        self._commands.extendleft((self.start, command) for command in reversed(commands))

    def _forget(self, position: int) -> None:
        del self._data[: position - self.start]
        self.start = position
