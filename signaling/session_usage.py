"""The audio of live sessions, counted to the keys that began them. Pure but for the clock it is given."""

from __future__ import annotations

from collections.abc import Callable

from signaling.usage import Usage

__all__ = ["OVER_CODE", "OVER_MESSAGE", "SessionUsage"]

OVER_CODE = "quota_exceeded"
"""Why a session is ended whose key has had all that it may have in a day."""

OVER_MESSAGE = "this key has had all the audio that it may have in a day; go on after 00:00 UTC"


class SessionUsage:
    """Knows whose each session is, from its admission to its end, also while it waits for its client.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, usage: Usage, clock: Callable[[], float]) -> None:
        self._usage = usage
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._counted: set[str] = set()

    def check(self, key_id: str) -> None:
        """Whether a key may begin a session.

        Raises:
            QuotaExceeded: not today.
        """
        self._usage.check(key_id, self._clock())

    def begin(self, session_id: str, key_id: str) -> None:
        """A session was let in."""
        self._keys[session_id] = key_id

    def connect(self, session_id: str) -> None:
        """It has a connection, its first or another."""
        if session_id in self._keys and session_id not in self._counted:
            self._counted.add(session_id)
            self._usage.add(self._keys[session_id], self._clock(), sessions=1)

    def hear(self, session_id: str, seconds: float) -> bool:
        """It has had so much audio since the last time; whether that was all that its key may have."""
        key_id = self._keys.get(session_id)
        if key_id is None:
            return False
        now = self._clock()
        self._usage.add(key_id, now, audio_s=seconds)
        return self._usage.remaining_s(key_id, now) == 0

    def end(self, session_id: str) -> None:
        """It is over."""
        self._keys.pop(session_id, None)
        self._counted.discard(session_id)
