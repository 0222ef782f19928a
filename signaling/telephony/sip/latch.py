"""Whose packets are media: symmetric RTP, locked to the first source that has shown itself to be the peer.
Pure.

The address in SDP is where they want to receive; behind a NAT or a session border controller they send from
another one. So a source has to show itself::

    source                              is believed
    ──────────────────────────────────  ─────────────────────────────────────────────────────────────
    the very one of the SDP             at its first packet that is RTP of this stream; also after another one
                                        was believed without proof
    any, with SRTP                      at its first packet that was made with the key
    any other, while none is believed   at its second packet in a row, of one SSRC (RFC 3550 §A.1)
    another port of the address that    likewise, after :data:`SILENT_S` without a packet of the one believed
    is believed
    any other                           never: a second source cannot take a call over

A new description (re-INVITE) opens the lock: the next source is judged anew, and until then the one before
still counts, since its packets may be on their way.
"""

from __future__ import annotations

from signaling.rtp import signed

__all__ = ["Latch", "Source"]

Source = tuple[str, int]
"""Address and port."""

SILENT_S = 2.0
IN_ROW = 2


class Latch:
    """The lock of one stream."""

    def __init__(self) -> None:
        self.source: Source | None = None
        """Who is believed."""
        self._expected: Source | None = None
        self._is_proven = False
        """Whether it is by more than having been first."""
        self._before: Source | None = None
        self._heard_at = 0.0
        self._candidate: tuple[Source, int, int] | None = None
        """Source, SSRC and sequence number of a packet that may be the first of two."""

    def expect(self, source: Source | None) -> None:
        """A description says where they are; None: it does not."""
        if source == self._expected:
            return
        self._expected = source
        self._before, self.source = self.source or self._before, None
        self._is_proven, self._candidate = False, None

    def is_likely(self, source: Source) -> bool:
        """Whether it is, was, or said that it would be the peer: a flood of others is not to keep it out."""
        return source in (self.source, self._expected, self._before)

    def may_try(self, source: Source, now: float) -> bool:
        """Whether a packet of this source is worth looking at, where it is not :attr:`source`."""
        if self.source is None or source == self._before:
            return True
        if source == self._expected and not self._is_proven:
            return True
        return source[0] == self.source[0] and now > self._heard_at + SILENT_S

    def accept(self, source: Source, ssrc: int, sequence: int, now: float, *, proven: bool = False) -> bool:
        """Whether a packet, which is RTP of this stream, is the peer's. To be asked for each.

        Args:
            proven: it was made with the key.
        """
        if source == self.source:
            self._heard_at = now
            return True
        if proven or (source == self._expected and not self._is_proven):
            self._lock(source, now, proven=True)
            return True
        if source == self._before and self.source is None:
            return True
        if not self.may_try(source, now):
            return False
        before, self._candidate = self._candidate, (source, ssrc, sequence)
        if (
            before is not None
            and before[:2] == (source, ssrc)
            and 0 < signed(sequence - before[2], 16) <= IN_ROW
        ):
            self._lock(source, now, proven=False)
            return True
        return False

    def _lock(self, source: Source, now: float, *, proven: bool) -> None:
        self.source, self._is_proven, self._heard_at = source, proven, now
        self._before = self._candidate = None
