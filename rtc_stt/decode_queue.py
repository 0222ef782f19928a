"""Who is decoded next, and with whom? One queue for the tiers of one machine; it holds, others decode.

The rules, in this order:

1. Finals before eager finals before partials before recordings, each in the order they came; so among
   partials the session that has waited longest.
2. A session has at most one partial waiting (a newer one replaces it, at the older one's place in the
   line) and at most one running.
3. What a newer request of the same utterance has overtaken is stale and leaves the queue, finals excepted,
   and with them the eager final of a segment that was committed before (its audio starts elsewhere).
4. A request that comes again with more urgency is promoted where it waits, and ignored where it runs.
5. Who is next takes others along into one call of the engine: of like length, and of the same kind (finals
   and eager finals, or partials, or recordings), so that no final is slowed down by others.
6. The queue has bounds. Beyond them it sheds partials, those of the youngest utterances first; then
   requests to the accurate tier; then eager finals, which come again as finals. A final of the fast tier is
   never shed. Recordings do not count: how many there may be is decided where they are let in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rtc_stt.audio import SAMPLE_RATE
from rtc_stt.hypothesis import DecodeRequest, Tier, Urgency

__all__ = ["DecodeQueue", "Pushed", "Ticket"]

LENGTH_RATIO = 1.25
"""A batch's longest audio over its shortest. All of it costs as much as its longest, so with more
the short ones would pay for the long ones."""

LENGTH_SLACK = SAMPLE_RATE // 2
"""Samples by which lengths may differ in any case: the decoder costs more than so little encoding."""

AUDIO_PER_REQUEST = 6 * SAMPLE_RATE
"""Samples of audio in a batch for each request that it may have. So a batch of long utterances has fewer
of them, and a final that comes just after its start waits no longer than behind short ones."""

PARTIALS_SHARE = 4
"""Where few get partials it is one in so many of those who speak, and at least one."""

SILENT_AFTER_S = 5.0
"""Who was not heard of for so long does not speak any more: an utterance that was too short for a final
ends without a word to the queue."""


@dataclass(slots=True)
class Ticket:
    """A place in the line."""

    request: DecodeRequest
    since: float
    """When its wait began, on the clock of ``now``."""
    order: int


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a request has driven out of the queue; none of it will be decoded."""

    stale: list[DecodeRequest] = field(default_factory=list)
    """Overtaken: nobody misses it."""
    shed: list[DecodeRequest] = field(default_factory=list)
    """Left out for want of capacity; the request itself may be among them."""


@dataclass(slots=True)
class _Speaker:
    """A stream from the first partial of an utterance to its final."""

    utterance_id: int
    began: int  # on the scale of Ticket.order
    heard_at: float


class DecodeQueue:
    """See the rules above.

    Args:
        max_batch: requests in one call.
        limit: requests that may wait.
        limit_bytes: audio that may wait, in bytes.
    """

    def __init__(self, *, max_batch: int = 1, limit: int = 1_000, limit_bytes: int = 256 * 2**20) -> None:
        self.few_partials = False
        """Whether only those get partials who have been speaking longest, see ``PARTIALS_SHARE``. The others'
        are shed as they come; what waits already stays."""
        self._max_batch = max_batch
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._waiting: dict[tuple[str, int, int, Tier], Ticket] = {}
        self._running: dict[tuple[str, int, int, Tier], Ticket] = {}
        self._speakers: dict[str, _Speaker] = {}
        self._bytes = 0
        self._count = itertools.count()

    # ── How full it is ────────────────────────────────────────────────────────────

    def waiting(self, tier: Tier) -> int:
        """Requests of one tier that wait."""
        return sum(key[3] is tier for key in self._waiting)

    def ready(self, tier: Tier) -> int:
        """Those of them that may run now: not behind a running partial of their own session."""
        return sum(1 for _ in self._ready(tier))

    def oldest(self, tier: Tier, *urgencies: Urgency) -> float | None:
        """When the longest wait of such requests began; None where none waits."""
        since = (
            ticket.since
            for ticket in self._waiting.values()
            if ticket.request.tier is tier and ticket.request.urgency in urgencies
        )
        return min(since, default=None)

    @property
    def bytes(self) -> int:
        """Audio that waits."""
        return self._bytes

    def audio_s(self, tier: Tier) -> float:
        """Seconds of audio that wait for one tier."""
        waiting = (ticket.request for ticket in self._waiting.values() if ticket.request.tier is tier)
        return sum(len(request.audio) for request in waiting) / SAMPLE_RATE

    @property
    def fill(self) -> float:
        """How much of the bounds is taken; over 1 where finals alone exceed them."""
        live = [t.request for t in self._waiting.values() if t.request.urgency is not Urgency.RECORDING]
        return max(len(live) / self._limit, sum(r.audio.nbytes for r in live) / self._limit_bytes)

    def speaking(self, now: float) -> int:
        """Streams in the middle of an utterance, as far as their requests tell."""
        return sum(1 for _ in self._speaking(now))

    # ── In and out ────────────────────────────────────────────────────────────

    def push(self, request: DecodeRequest, now: float) -> Pushed:
        """Take a request."""
        self._note_speaker(request, now)
        if request.key in self._running:
            return Pushed()
        known = self._waiting.get(request.key)
        if known:
            if request.urgency < known.request.urgency:
                self._bytes += request.audio.nbytes - known.request.audio.nbytes
                known.request = request
            return Pushed()
        stale = [
            ticket
            for ticket in self._waiting.values()
            if not ticket.request.urgency.is_last and _overtakes(request, ticket.request)
        ]
        order, since = next(self._count), now
        for ticket in stale:
            self._remove(ticket)
            if ticket.request.urgency is request.urgency is Urgency.PARTIAL:
                order, since = min(order, ticket.order), min(since, ticket.since)
        gone = [ticket.request for ticket in stale]
        if request.urgency is Urgency.PARTIAL and not self._may_have_partials(request, now):
            return Pushed(gone, [request])
        self._waiting[request.key] = Ticket(request, since, order)
        self._bytes += request.audio.nbytes
        return Pushed(gone, self._shed_excess())

    def pop(self, tier: Tier, limit: int = 1, *, recordings: bool = True) -> list[Ticket]:
        """The requests of a tier to decode now in one call, at most ``limit``; none where none may run.

        Args:
            recordings: whether they may.
        """
        ready = sorted(self._ready(tier, recordings=recordings), key=lambda t: (t.request.urgency, t.order))
        batch = _fill(ready, min(limit, self._max_batch), self._max_batch * AUDIO_PER_REQUEST)
        for ticket in batch:
            self._remove(ticket)
            self._running[ticket.request.key] = ticket
        return batch

    def done(self, request: DecodeRequest) -> None:
        """The request that was popped has been answered."""
        del self._running[request.key]

    def forget(self, stream_id: str) -> list[DecodeRequest]:
        """Remove all that waits for one stream, which has ended. Returns it."""
        self._speakers.pop(stream_id, None)
        return self._remove_all(t for t in self._waiting.values() if t.request.stream_id == stream_id)

    def clear(self, tier: Tier, before: float | None = None) -> list[DecodeRequest]:
        """Remove all that waits for one tier, or only what has waited since ``before``. Returns it.

        Recordings wait as long as it takes.
        """
        return self._remove_all(
            t
            for t in self._waiting.values()
            if t.request.tier is tier
            and (before is None or (t.since <= before and t.request.urgency is not Urgency.RECORDING))
        )

    # ── Inside ────────────────────────────────────────────────────────────

    def _ready(self, tier: Tier, *, recordings: bool = True) -> Iterator[Ticket]:
        runs = {key[0] for key, t in self._running.items() if t.request.urgency is Urgency.PARTIAL}
        for ticket in self._waiting.values():
            request = ticket.request
            if (
                request.tier is tier
                and (request.urgency is not Urgency.PARTIAL or request.stream_id not in runs)
                and (recordings or request.urgency is not Urgency.RECORDING)
            ):
                yield ticket

    def _remove(self, ticket: Ticket) -> None:
        del self._waiting[ticket.request.key]
        self._bytes -= ticket.request.audio.nbytes

    def _remove_all(self, tickets: Iterable[Ticket]) -> list[DecodeRequest]:
        gone = list(tickets)
        for ticket in gone:
            self._remove(ticket)
        return [ticket.request for ticket in gone]

    def _shed_excess(self) -> list[DecodeRequest]:
        shed = []
        while self._waiting and self.fill > 1:
            ticket = max(self._waiting.values(), key=self._dispensability)
            if _is_kept(ticket.request):
                break
            self._remove(ticket)
            shed.append(ticket.request)
        return shed

    def _dispensability(self, ticket: Ticket) -> tuple[int, int, int]:
        """Who is shed first is highest."""
        request = ticket.request
        if request.urgency is Urgency.PARTIAL:
            speaker = self._speakers.get(request.stream_id)
            return 3, speaker.began if speaker else ticket.order, ticket.order
        if request.tier is Tier.ACCURATE and not _is_kept(request):
            return 2, request.urgency, ticket.order
        return int(not _is_kept(request)), ticket.order, 0

    def _note_speaker(self, request: DecodeRequest, now: float) -> None:
        speaker = self._speakers.get(request.stream_id)
        if request.urgency is Urgency.FINAL:
            if speaker and speaker.utterance_id <= request.utterance_id:
                del self._speakers[request.stream_id]
        elif speaker and speaker.utterance_id == request.utterance_id:
            speaker.heard_at = now
        elif request.urgency is Urgency.PARTIAL and (
            speaker is None or speaker.utterance_id < request.utterance_id
        ):
            self._speakers[request.stream_id] = _Speaker(request.utterance_id, next(self._count), now)

    def _speaking(self, now: float) -> Iterator[_Speaker]:
        return (s for s in self._speakers.values() if now - s.heard_at <= SILENT_AFTER_S)

    def _may_have_partials(self, request: DecodeRequest, now: float) -> bool:
        speaker = self._speakers.get(request.stream_id)
        if not self.few_partials or speaker is None:
            return True
        chosen = max(1, self.speaking(now) // PARTIALS_SHARE)
        return sum(other.began < speaker.began for other in self._speaking(now)) < chosen


def _is_kept(request: DecodeRequest) -> bool:
    """Whether it is never shed: without it an utterance might have no text, or a recording would end."""
    is_last_word = request.urgency is Urgency.FINAL and request.tier is Tier.FAST
    return is_last_word or request.urgency is Urgency.RECORDING


def _kind(request: DecodeRequest) -> Urgency:
    """What shares a call: finals and eager finals do."""
    return Urgency.FINAL if request.urgency is Urgency.EAGER else request.urgency


def _fill(ready: list[Ticket], limit: int, most_audio: int) -> list[Ticket]:
    """The first of those that are ready, in their order, and whoever may go along with it."""
    batch: list[Ticket] = []
    streams: set[str] = set()  # with a partial in the batch
    kind = None
    shortest = longest = audio = 0
    for ticket in ready:
        request, length = ticket.request, len(ticket.request.audio)
        is_partial = request.urgency is Urgency.PARTIAL
        if batch:
            if len(batch) >= limit or _kind(request) != kind:
                break
            low, high = min(shortest, length), max(longest, length)
            alike = high <= max(LENGTH_RATIO * low, low + LENGTH_SLACK)
            if not alike or audio + length > most_audio or request.stream_id in streams:
                continue
            shortest, longest = low, high
        else:
            kind = _kind(request)
            shortest = longest = length
        batch.append(ticket)
        audio += length
        if is_partial:
            streams.add(request.stream_id)
    return batch


def _overtakes(new: DecodeRequest, old: DecodeRequest) -> bool:
    if new.stream_id != old.stream_id or (new.utterance_id, new.revision) <= (old.utterance_id, old.revision):
        return False
    # Audio with another start is another segment of the utterance, and that one's final is still wanted.
    is_same_segment = new.utterance_id != old.utterance_id or new.audio_start == old.audio_start
    return is_same_segment or old.urgency is Urgency.PARTIAL
