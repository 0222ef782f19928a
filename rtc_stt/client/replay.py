"""What a client keeps of its audio, so that it can say again what did not arrive. Pure.

::

    position   0 … settled │ received, in no final yet │ on its way │ not sent yet … end
                           └─ start                    └─ received  └─ sent

A session that is resumed goes on behind what it has received. A new one knows nothing of what the one before
had heard, so it gets all that is in no final yet.
"""

from __future__ import annotations

import json
from collections import deque

from rtc_stt.client.reconnect import Answer
from rtc_stt.commands import Command
from rtc_stt.events import Event, SpeechStarted, SpeechStopped, TranscriptFinal, UtteranceDropped

__all__ = ["Replay", "Unsettled", "answer_of"]

PREROLL_MS = 500
"""More than a session decodes before a beginning."""

ONSET_MS = 1_500
"""From the first sound of an utterance to its ``speech.started`` here, pre-roll included."""

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
        self._received = 0  # by the server
        self.origin = 0
        """Where the server's count began: position of the session's first sample."""
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
        """Bytes that can be taken and nothing is given up that the server has not received."""
        return max(0, self._limit - (self.end - max(self.start, self._received)))

    @property
    def kept_from(self) -> int:
        """The oldest that is kept, in samples of the server's count."""
        return max(0, self.start - self.origin) // self._frame_bytes

    def put(self, audio: bytes) -> int:
        """Take audio; gives how many bytes had to be given up that were never sent."""
        self._data += audio
        excess = len(self._data) - self._limit
        if excess <= 0:
            return 0
        self._forget(self.start + excess + -excess % self._frame_bytes)
        skipped = max(0, self.start - self.sent)
        self.origin += skipped  # the server counts on without them
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
        until = min(self.end, self.sent + size, max(self.start, self._received) + self._window)
        if self._told < len(self._commands):
            until = min(until, self._commands[self._told][0])
        until -= (until - self.start) % self._frame_bytes
        if until <= self.sent:
            return None
        audio = bytes(self._data[self.sent - self.start : until - self.start])
        self.sent = until
        return audio

    def received(self, samples: int) -> None:
        """The server has so much of this session's audio: this session is not sent it again."""
        self._received = max(self._received, min(self.sent, self.origin + samples * self._frame_bytes))

    def settle(self, samples: int) -> None:
        """So much of this session's audio is in finals, or in none: that is not needed any more."""
        position = min(self._received, self.origin + samples * self._frame_bytes)
        if position > self.start:
            self._forget(position)

    def welcome(self, samples: int, *, anew: bool) -> int:
        """A connection stands, and the server has so much of its session's audio: go on behind that.

        Args:
            anew: the session is a new one. It hears what is in no final of the one before.

        Returns:
            Bytes that the server lacks and that are not kept any more.
        """
        if anew:
            self.origin = self.start - samples * self._frame_bytes
        position = self.origin + samples * self._frame_bytes
        lost = max(0, self.start - position)
        self.origin += lost
        self.sent = self._received = min(max(position, self.start), self.end)
        self._told = sum(at < self.sent for at, _ in self._commands)
        return lost

    def kept(self) -> bytes:
        """All audio that is in no final yet, as far back as there is."""
        return bytes(self._data)

    def pending(self) -> list[Command]:
        """The commands that the server may not have heard."""
        return [command for _, command in self._commands]

    def say_first(self, commands: list[Command]) -> None:
        """Put commands before all that is to be sent: a new session knows nothing of them."""
        self._commands.extendleft((self.start, command) for command in reversed(commands))

    def _forget(self, position: int) -> None:
        del self._data[: position - self.start]
        self.start = position
        while self._commands and self._commands[0][0] < position:
            self._commands.popleft()
            self._told = max(0, self._told - 1)


class Unsettled:
    """Up to where the audio of one session is in finals, by its events. Positions in ms of its media time.

    ::

        nobody speaks   what was received, less what a beginning that is not told yet may need
        else            the beginning of the oldest utterance without a final, less its pre-roll

    never before the end of an utterance that has its final.
    """

    def __init__(self) -> None:
        self._open: dict[int, int] = {}  # beginnings
        self._ends: dict[int, int] = {}
        self._settled = 0

    def receive(self, event: Event) -> None:
        """Note an event."""
        match event:
            case SpeechStarted():
                self._open[event.utterance_id] = event.audio_start_ms
            case SpeechStopped():
                self._ends[event.utterance_id] = event.audio_end_ms
            case TranscriptFinal() | UtteranceDropped():
                begun = self._open.pop(event.utterance_id, 0)
                self._settled = max(self._settled, self._ends.pop(event.utterance_id, begun))

    def settled_ms(self, received_ms: int) -> int:
        """Where that much was received."""
        if self._open:
            return max(self._settled, min(self._open.values()) - PREROLL_MS)
        return max(self._settled, received_ms - ONSET_MS)
