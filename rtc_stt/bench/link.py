"""What a network does to datagrams, decided without a clock or a socket.

A :class:`Link` is one direction. It is told when a datagram comes and says when copies of it leave; all
chance is drawn from a seed, so that a run can be repeated.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Conditions", "Link", "is_media", "reroute"]


@dataclass(frozen=True, slots=True)
class Conditions:
    """How bad one direction is. The default is a perfect line."""

    loss: float = 0.0
    """The share of datagrams that are lost at random."""
    pattern: str = ""
    """Instead of chance: ``.`` passes, ``x`` is lost, over and over (``"....x"`` loses every fifth)."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much is added to the delay of each. Order is kept, as most networks do."""
    reorder: float = 0.0
    """The share of datagrams that let those of the next ``reorder_s`` pass."""
    reorder_s: float = 0.03
    duplicate: float = 0.0
    """The share of datagrams that come twice."""
    media_only: bool = True
    """Only RTP and RTCP are lost, reordered or doubled: what is tested is the audio, not how long a handshake
    takes under loss. Delay and jitter are for all."""
    seed: int = 1


def is_media(datagram: bytes) -> bool:
    """Whether it is RTP or RTCP rather than STUN or DTLS (RFC 7983 §7)."""
    return bool(datagram) and 127 < datagram[0] < 192


class Link:
    """One direction of a line under some conditions. ``dead`` is a black hole: nothing passes."""

    def __init__(self, conditions: Conditions | None = None) -> None:
        self.conditions = conditions or Conditions()
        self.dead = False
        self.sent = self.lost = self.doubled = self.reordered = 0
        """Datagrams that passed, were lost to chance or pattern, and so on. Not those of a black hole."""
        self._chance = random.Random(self.conditions.seed)  # noqa: S311 - a run can be repeated
        self._losses = self._pattern()
        self._last = 0.0

    def _pattern(self) -> Iterator[bool]:
        while True:
            if self.conditions.pattern:
                yield from (mark == "x" for mark in self.conditions.pattern)
            else:
                yield self._chance.random() < self.conditions.loss

    def pass_on(self, datagram: bytes, now: float) -> list[float]:
        """When copies of it arrive, in seconds of ``now``'s clock; none where it is lost."""
        if self.dead:
            return []
        bad = self.conditions
        touched = is_media(datagram) or not bad.media_only
        if touched and next(self._losses):
            self.lost += 1
            return []
        self.sent += 1
        at = max(self._last, now + bad.delay_s + self._chance.random() * bad.jitter_s)
        if touched and self._chance.random() < bad.reorder:
            self.reordered += 1
            return [at + bad.reorder_s]
        self._last = at
        if touched and self._chance.random() < bad.duplicate:
            self.doubled += 1
            return [at, at]
        return [at]


def reroute(sdp: str, via: Callable[[str, int], tuple[str, int]]) -> str:
    """The description with one candidate only: its first UDP one over IPv4 at the address that ``via`` gives.

    A description without such a candidate gets one, so that whoever reads it has somebody to talk to; ``via``
    is called with ``("", 0)`` then.
    """
    host, port = via(*_first_candidate(sdp))
    line = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host"
    out: list[str] = []
    for text in sdp.splitlines():
        if text.startswith(("a=candidate:", "a=end-of-candidates")):
            continue
        if text.startswith("c=IN "):
            text = f"c=IN IP4 {host}"
        if text.startswith("m=") and " 0 " not in text:
            text = re.sub(r"^(m=\S+) \d+", rf"\1 {port}", text)
        out.append(text)
        if text.startswith("a=mid:") and line not in out:  # once: all sections share one transport (BUNDLE)
            out += [line, "a=end-of-candidates"]
    return "\r\n".join(out) + "\r\n"


def _first_candidate(sdp: str) -> tuple[str, int]:
    """Address and port of the first UDP candidate over IPv4; ``("", 0)`` where there is none."""
    found = re.search(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", sdp, re.I | re.M)
    return (found[1], int(found[2])) if found else ("", 0)
