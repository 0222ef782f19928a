"""Where a watcher may look in. The hooks fire in ``session``, ``decode_pool`` with its lanes, and where
sessions and requests are admitted, on the event loop.

Subclass :class:`Instrument` and override what you need; every hook does nothing by default. A hook must be
quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Mapping

from rtc_stt.events import Event
from rtc_stt.failover import Outcome, State
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier
from rtc_stt.load import Step

__all__ = ["Instrument"]


class Instrument:
    """The hooks. This class itself watches nothing."""

    def session_opened(self, transport: str) -> None:
        """A session began."""

    def session_closed(self, transport: str, seconds: float) -> None:
        """A session ended after ``seconds``."""

    def audio_received(self, seconds: float) -> None:
        """So much audio arrived."""

    def event_sent(self, event: Event) -> None:
        """A session told its client something. Events carry transcripts: count them, do not keep them."""

    def first_partial(self, media_ms: int) -> None:
        """An utterance got its first partial, ``media_ms`` of media time after its speech began."""

    def speculated(self, *, used: int, wasted: int) -> None:
        """So many speculative finals were used or thrown away since the last call."""

    def decode_started(self, request: DecodeRequest, queued_s: float) -> None:
        """A request's turn came after ``queued_s`` seconds."""

    def decode_finished(self, answer: Hypothesis | DecodeFailure, infer_s: float) -> None:
        """A request was answered after ``infer_s`` seconds in the engine."""

    def batch_started(self, tier: Tier, size: int) -> None:
        """So many requests went into one call of a tier's engine."""

    def decode_dropped(self, request: DecodeRequest) -> None:
        """A request became stale before its turn."""

    def decode_shed(self, request: DecodeRequest) -> None:
        """A request was left out for want of capacity."""

    def queue_changed(self, tier: Tier, waiting: int, running: int) -> None:
        """The load of the decode pool changed."""

    def load_changed(self, before: Step, step: Step) -> None:
        """More or less is left out than before."""

    def engine_health_changed(self, tier: Tier, healthy: bool) -> None:
        """A tier's engine hangs, is broken, or is well again. Also told once at the start."""

    def fallback_attempted(self, place: int, outcome: Outcome, seconds: float) -> None:
        """A request to the accurate tier has been at one of several places for so long.

        Place 0 is this machine's model, the others are those of ``FALLBACK_URL`` in their order.
        """

    def fallback_circuit_changed(self, place: int, state: State) -> None:
        """One of several places is asked, tried or left alone. Also told once at the start."""

    def replicas_changed(self, tier: Tier, states: Mapping[str, int]) -> None:
        """So many replicas of a tier are ``ready``, ``slow``, ``silent`` or ``draining``."""

    def replica_called(self, tier: Tier, outcome: str) -> None:
        """What became of a batch at the replicas: ``ok``, ``retried`` or ``hedged`` (asked of another one),
        ``hedge_won``, ``timeout``, ``failed``."""

    def replica_answered(self, tier: Tier, overhead_s: float) -> None:
        """A batch was on its way to a replica and back for so long, without what it took over there."""

    def session_refused(self, reason: str) -> None:
        """A client was turned away: ``full``, ``rate``, ``token`` …; the HTTP reference has all."""

    def session_resumed(self, gap_s: float) -> None:
        """A client came back to its session after ``gap_s`` seconds without audio."""

    def rtp_packets(self, result: str, count: int) -> None:
        """So many packets: ``received``, ``recovered``, ``concealed``, ``lost``, ``late`` or ``refused``."""

    def line_measured(
        self, codec: str, round_trip_s: float | None, jitter_s: float, bit_rate_kbps: float
    ) -> None:
        """How the line of a session is, every few seconds; no round trip where none was measured yet."""

    def jitter_delayed(self, seconds: float) -> None:
        """A packet waited so long in the jitter buffer for those before it."""

    def message_refused(self, reason: str) -> None:
        """What a client sent over its data channel was not taken: ``rate``, ``size``, ``channel`` …"""

    def datagrams_refused(self, reason: str, count: int) -> None:
        """So many UDP datagrams were dropped: of a ``stranger``, in a ``flood``, ``broken``, ``srtp`` …"""

    def loop_lagged(self, seconds: float) -> None:
        """The event loop was so late; told many times a second."""

    def half_open_changed(self, count: int) -> None:
        """So many offers are answered and not yet connected."""

    def workers_changed(self, states: Mapping[str, int]) -> None:
        """So many media workers are ``starting``, ``ready`` or ``lost`` (and will be begun anew)."""

    def sharing_changed(self, is_up: bool) -> None:
        """Redis, which gateways share, answers or is away. Also told once at the start."""

    def nodes_known(self, count: int) -> None:
        """So many gateways give signs of life in Redis, this one included; told each second."""

    def session_moved(self, result: str) -> None:
        """A client resumed a session of another gateway: ``taken`` over, ``forwarded`` to the one that has
        it, or ``too_late``: a third one was faster."""

    def sharing_failed(self, what: str) -> None:
        """It did not answer when asked for ``limits``, ``session`` …, or too late."""

    def usage_not_written(self) -> None:
        """What keys have used could not be written to its file; it will be tried again."""

    def detector_lost(self) -> None:
        """The voice activity detector's process died or stood still, and is begun anew."""

    def worker_scrape_failed(self) -> None:
        """A media worker did not tell its figures in time."""

    def call_began(self, source: str) -> None:
        """A phone call began over ``sip``, ``audiosocket``, ``twilio`` …"""

    def call_ended(self, source: str, reason: str, seconds: float) -> None:
        """It ended after so long; the reference of events has the reasons."""

    def phone_refused(self, reason: str) -> None:
        """What came by a protocol of telephones was not taken, or not answered: ``malformed``, ``unlisted``,
        ``auth``, ``stranger``, ``full`` …; the reference of metrics has all."""

    def listeners_changed(self, count: int) -> None:
        """So many WebSockets hear calls."""

    def webhook_settled(self, result: str) -> None:
        """What became of an attempt to post an event: ``delivered``, ``failed`` (and will be tried again), or
        it was given up: ``exhausted``, ``overflow``, ``off``, ``drained``."""

    def webhooks_changed(self, waiting: int) -> None:
        """So many events wait to be posted, those included that are being posted."""

    def dead_letter_lost(self) -> None:
        """An event that was given up could not be written to the file for these either."""

    def request_begun(self, endpoint: str) -> None:
        """A request has come to one of the endpoints that do the work, ``/v1/transcribe`` …"""

    def request_done(self, endpoint: str, stages: Mapping[str, float]) -> None:
        """It was answered with what it asked for. Seconds by stage: ``total``, and where they apply
        ``queue_wait``, ``primary_infer``, ``fallback_infer``."""

    def request_failed(self, endpoint: str, kind: str, status: int) -> None:
        """It was answered with an error of this type and status, or its client went (499)."""

    def fallback_decided(self, result: str) -> None:
        """What became of the second opinion on a recording: ``used``, ``skipped`` or ``failed``."""

    def spans_settled(self, result: str, count: int) -> None:
        """So many spans were ``exported``, ``failed`` (the collector did not take them) or ``dropped``, there
        being no room to wait. Unlike the others it may be called in a thread of its own."""
