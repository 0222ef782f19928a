"""One speaker's session: the pump between audio, detector, recognizer, decode pool and client.

Everything runs in callbacks on the event loop; a session has no task and no thread of its own, so there is
none to leak. Audio and commands go through one inbox, so that a ``finalize`` acts on exactly the audio that
came before it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from rtc_stt.audio import SAMPLE_RATE, AudioFrame, Origin, Samples, samples_to_ms
from rtc_stt.commands import Ack, Command, Configure, Finalize, Mute, Ping, Stop
from rtc_stt.config import Routing, StreamOptions, change_stream_options, option_changes
from rtc_stt.decoding import Answer, Decoder
from rtc_stt.delivery import Deliver, Delivery, Witness
from rtc_stt.events import (
    Event,
    Pong,
    SessionEnded,
    SessionError,
    SessionResumed,
    SessionStarted,
    SessionWarning,
    TranscriptFinal,
)
from rtc_stt.handover import Handover, Sheet
from rtc_stt.inbox import EndOfAudio, Inbox
from rtc_stt.instrument import Instrument
from rtc_stt.load import LOAD_WARNINGS, Step, effort_at
from rtc_stt.logs import IdLog, bound
from rtc_stt.recognizer import Recognizer
from rtc_stt.session_stats import SessionStats
from rtc_stt.session_trail import SessionTrail
from rtc_stt.spans import SpanSink
from rtc_stt.vad import Batcher, DetectorState, Judgement
from rtc_stt.wire import ProtocolProblem, read_command

__all__ = ["MAX_BACKLOG_S", "Session", "Speech"]

MAX_BACKLOG_S = 30
"""Audio that may wait for the detector. A live stream never gets there unless the machine is far too slow;
then it is better to say so than to fall behind for ever."""

WINDOWS_A_GO = 64
"""Windows that are worked off before the loop gets its turn: two seconds of audio, about a millisecond."""


@dataclass(frozen=True)
class Speech:
    """What all sessions of a process share: detector, decode pool, defaults and watcher."""

    vad: Batcher
    pool: Decoder
    options: StreamOptions = field(default_factory=StreamOptions)
    routing: Routing = field(default_factory=Routing)
    instrument: Instrument = field(default_factory=Instrument)
    sink: SpanSink | None = None
    """Where spans of turns and recordings go."""
    log_transcripts: bool = False
    """Whether texts of finals are written to the log."""

    async def aclose(self) -> None:
        """Stop the threads; running decodes are waited for, though not for ever."""
        self.vad.close()
        await self.pool.aclose()
        if self.sink:
            await self.sink.aclose()


class Session:
    """See above. Every method is called on the event loop, and none of them blocks.

    Args:
        speech: what it shares with the others.
        deliver: the client.
        transport: how the client is connected, for metrics: ``webrtc``, ``file`` …
        limits: what ``session.started`` tells of the server's limits.
        session_id: its name; drawn where it is None.
        resume_token: what a client names to come back; likewise.
        handover: where it goes on, if another gateway has begun it; it waits for its client then.
    """

    def __init__(
        self,
        speech: Speech,
        deliver: Deliver,
        *,
        transport: str,
        limits: Mapping[str, int] | None = None,
        session_id: str | None = None,
        resume_token: str | None = None,
        handover: Handover | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.id = session_id or secrets.token_urlsafe(9)
        self.resume_token = resume_token or secrets.token_urlsafe(24)
        self._loop = asyncio.get_running_loop()
        self.ended = self._loop.create_future()
        """Done when ``session.ended`` has been told."""
        self.log = IdLog(logging.getLogger(__name__), session_id=self.id)
        self._speech = speech
        self._handover = handover  # until its client is here
        self._delivery = Delivery(None if handover else deliver, told=handover.seq if handover else 0)
        self._transport = transport
        self._limits = dict(limits or {})
        self._clock = clock
        self._recognizer = Recognizer(
            self.id,
            speech.options,
            speech.routing,
            has_accurate_tier=speech.pool.has_accurate_tier,
            position=handover.position if handover else 0,
            utterances=handover.utterances if handover else 0,
        )
        self._vad_state: DetectorState | None = speech.vad.new_state()
        self._inbox = Inbox(handover.position if handover else 0)
        self._trail = SessionTrail(self.id, bound(), speech.sink, self._inbox.arrived_at, clock)
        self._turn: asyncio.Handle | None = None  # to go on with the inbox
        self._judging = False  # the detector has windows of it
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._ending: str | None = None  # the reason, once it is to end
        self._started_at = clock()
        self._heard = 0  # samples
        self._uncounted = 0  # of them, not yet told the instrument
        self._stats = SessionStats(speech.instrument)

    # ── What comes in ────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Tell ``session.started`` and begin to listen."""
        pool = self._speech.pool
        pool.attach(self.id, self._receive_answer, self._receive_load)
        self._speech.instrument.session_opened(self._transport)
        if self._handover:
            self._take_up(self._handover)
            return
        self.log.info("started over %s", self._transport)
        self._tell(
            SessionStarted(
                at_ms=0,
                session_id=self.id,
                resume_token=self.resume_token,
                models=pool.models,
                limits=self._limits,
            )
        )
        if pool.step is not Step.NORMAL:
            self._receive_load(pool.step)

    def _take_up(self, handover: Handover) -> None:
        """Go on with what another gateway has begun; nothing is told before the client is here."""
        self.log.info("taken over from another gateway, %d events kept", len(handover.events))
        defaults, languages = self._speech.options, self._speech.pool.languages
        self._recognizer.configure(change_stream_options(defaults, defaults, handover.options, languages)[0])
        if handover.muted:
            self._recognizer.mute(True, self._clock())
        self._recognizer.effort = effort_at(self._speech.pool.step)
        self._delivery.keep(handover.events)

    def receive_audio(self, samples: Samples, origin: Origin = Origin.RECEIVED) -> None:
        """Take a chunk of 16 kHz mono audio of any length, shape ``(n,)``, all of one origin."""
        if self._ending is not None:
            return
        if origin is not Origin.LOST:
            self._heard += len(samples)
            self._uncounted += len(samples)
        self._inbox.put_audio(samples, origin, self._clock())
        if self._inbox.backlog_s > MAX_BACKLOG_S:
            self.fail("overloaded", "the server cannot keep up with this stream; try again later")
            return
        if self._uncounted >= SAMPLE_RATE:
            self._count_audio()
        if self._inbox:  # two packets of 20 ms in five complete no window
            self._advance(changed=False)

    def receive_silence(self, samples: int, origin: Origin) -> None:
        """Take silence, an hour of it if need be: it is not judged, and made only as it is worked off.

        Args:
            samples: its length at 16 kHz.
            origin: ``RECEIVED`` where the sender was silent, ``LOST`` where nobody knows.
        """
        if self._ending is None:
            if origin is not Origin.LOST:
                self._heard += samples
            self._inbox.put_silence(samples, origin, self._clock())
            self._advance()

    def receive_message(self, message: str | bytes) -> None:
        """Take what the client sent; what is wrong with it is answered by a ``warning``."""
        try:
            command, unknown = read_command(message)
        except ProtocolProblem as problem:
            self.warn(problem.code, str(problem))
            return
        for name in unknown:
            self.warn("unknown_field", f"{command.type} has no field {name!r}")
        self.receive_command(command)

    def receive_command(self, command: Command) -> None:
        """Take a command; it acts on the audio received before it."""
        if self._ending is not None:
            return
        if isinstance(command, Ping):  # not queued: it measures the way there and back
            self._tell(Pong(at_ms=self._recognizer.at_ms, id=command.id))
            return
        if isinstance(command, Ack):
            self._delivery.acknowledge(command.seq)
            return
        if isinstance(command, Stop):  # it marks the end of the audio here, not where the inbox ends later
            self.finish("stopped")
            return
        self._inbox.put(command)
        self._advance()

    def finish(self, reason: str) -> None:
        """Finalise what is open, then end. ``ended`` is done when it has."""
        if self._ending is not None:
            return
        self._inbox.end()
        self._ending = reason
        self._advance()

    def abort(self, reason: str) -> None:
        """End now: what is open is dropped as ``cancelled``."""
        if self.ended.done():
            return
        self._ending = self._ending or reason
        self._inbox.clear()
        self._recognizer.cancel(self._clock())
        self._advance()

    def fail(self, code: str, message: str) -> None:
        """End with a fatal error."""
        if not self.ended.done():
            self.log.error("failed: %s", code)
            self.expel(code, message)

    def expel(self, code: str, message: str) -> None:
        """End with a fatal error that is no failure: the client may not go on."""
        if not self.ended.done():
            self._tell(SessionError(at_ms=self._recognizer.at_ms, code=code, message=message, fatal=True))
            self.abort(code)

    def warn(self, code: str, message: str) -> None:
        """Tell the client that something is not as asked."""
        if not self.ended.done():
            self._tell(SessionWarning(at_ms=self._recognizer.at_ms, code=code, message=message))

    def update_stats(self, figures: Mapping[str, int | float | str]) -> None:
        """Let ``session.ended`` tell these too; a later figure of the same name replaces an earlier one."""
        self._stats.update(figures)

    @property
    def heard_s(self) -> float:
        """Seconds of audio received so far, silence and muted audio included, lost audio not."""
        return self._heard / SAMPLE_RATE

    @property
    def wants(self) -> int:
        """Samples of audio that complete the next window: with fewer there is nothing to do."""
        return self._inbox.wants

    @property
    def backlog_s(self) -> float:
        """Seconds of audio that wait for the detector; a file reader waits until there is little."""
        return self._inbox.backlog_s

    @property
    def is_ending(self) -> bool:
        """Whether it ends, or has ended."""
        return self._ending is not None

    @property
    def is_silent(self) -> bool:
        """Whether nobody speaks: to end now cuts no word in two."""
        return self._recognizer.is_silent

    @property
    def sheet(self) -> Sheet:
        """How far it is."""
        recognizer = self._recognizer
        return Sheet(
            seq=self._delivery.told,
            position=self._inbox.received,
            utterances=recognizer.utterances,
            options=option_changes(recognizer.options, self._speech.options),
            muted=recognizer.is_muted,
            heard_s=self.heard_s,
        )

    # ── The connection ────────────────────────────────────────────────────────────

    @property
    def is_attached(self) -> bool:
        """Whether there is a client who hears what is told."""
        return self._delivery.is_attached

    @property
    def witness(self) -> Witness | None:
        """Hears what is told and acknowledged, whether or not a client is there."""
        return self._delivery.witness

    @witness.setter
    def witness(self, witness: Witness | None) -> None:
        self._delivery.witness = witness

    def detach(self) -> None:
        """The client is lost: what is told from here on waits for it to come back. May be called again."""
        if self._delivery.detach():
            self.log.info("detached")

    def expect_audio(self, within_s: float | None) -> None:
        """How long audio may stop before an open utterance is finalised; None: for as long as it takes."""
        self._recognizer.expect_audio(within_s, self._clock())
        self._set_timer()

    def attach(self, deliver: Deliver, last_seq: int, *, replays: bool = False) -> None:
        """Go on with a client that came back, over a new connection.

        Events after ``last_seq`` are told again as they were, then ``session.resumed``. The audio that is
        missing becomes silence when audio comes again. A session that has ended only tells what was missed.

        Args:
            deliver: as in the constructor; takes the place of the one before.
            last_seq: number of the last event that the client has seen; any number will do.
            replays: whether the client sends the audio again that did not arrive: then none is missing.
        """
        missed = self._delivery.attach(deliver, max(0, last_seq))
        if self.ended.done():
            return
        gap_s = 0.0 if replays else self._inbox.resume(self._clock())
        handover, self._handover = self._handover, None
        if handover:
            gap_s = handover.gap_ms / 1000
        self.log.info("attached again, %d events sent again, %.1f s without audio", len(missed.events), gap_s)
        self._speech.instrument.session_resumed(gap_s)
        self._tell(
            SessionResumed(
                at_ms=self._recognizer.at_ms,
                session_id=self.id,
                gap_ms=round(gap_s * 1000),
                resent=len(missed.events),
                moved=handover is not None,
            )
        )
        are_all = missed.are_all and (handover is None or handover.are_all)
        if not are_all and not (handover and replays):
            self.warn("events_lost", "some events since then are not kept any more")

    # ── The pump ────────────────────────────────────────────────────────────

    def _advance(self, *, changed: bool = True) -> None:
        """Work off the inbox as far as the detector has come, then send what follows from it.

        Args:
            changed: whether something may have to be sent in any case.
        """
        room = 0 if self._turn else WINDOWS_A_GO  # who comes in between does not make a turn longer
        while self._inbox and not self._judging and room:
            frames = self._inbox.take_frames(room)
            if not frames:
                self._obey(self._inbox.take())
                changed = True
            elif self._vad_state and (heard := [frame.samples for frame in frames if not frame.is_blank]):
                self._judging = True
                self._speech.vad.judge(self._vad_state, heard, partial(self._receive_judgement, frames))
            else:
                self._hear(frames, [])
                room -= len(frames)
                changed = True
        if changed:
            self._send()
        if self._inbox and not self._judging and self._turn is None:
            self._turn = self._loop.call_soon(self._go_on)
        if self._ending is not None and not self._inbox and self._recognizer.is_idle:
            self._end()

    def _go_on(self) -> None:
        self._turn = None
        if not self.ended.done():
            self._advance()

    def _hear(self, frames: list[AudioFrame], judged: list[float]) -> None:
        """Hand frames over with the detector's opinion; of those that are blank it was not asked for any."""
        self._inbox.settle(frames)
        now, opinions = self._clock(), iter(judged)
        for frame in frames:
            self._recognizer.receive_audio(frame, 0.0 if frame.is_blank else next(opinions), now)

    def _receive_judgement(self, frames: list[AudioFrame], judgement: Judgement) -> None:
        self._judging = False
        if self.ended.done() or isinstance(judgement, asyncio.CancelledError):
            return
        if isinstance(judgement, BaseException):
            self.log.error("the voice activity detector failed: %s", type(judgement).__name__)
            self.fail("vad_failed", "the voice activity detector failed; reconnect")
            return
        self._hear(frames, judgement)
        self._advance()

    def _receive_answer(self, answer: Answer) -> None:
        if not self.ended.done():
            now = self._clock()
            self._trail.answer(answer, now)
            self._recognizer.receive_hypothesis(answer, now)
            self._advance()

    def _receive_load(self, step: Step) -> None:
        self._recognizer.effort = effort_at(step)
        self.warn(*LOAD_WARNINGS[step])

    def _obey(self, item: Command | EndOfAudio) -> None:
        now = self._clock()
        match item:
            case Finalize(request_id):
                self._recognizer.finalize(request_id, now)
            case Mute(on):
                self._recognizer.mute(on, now)
            case Configure(changes):
                options, problems = change_stream_options(
                    self._recognizer.options,
                    self._speech.options,
                    changes,
                    self._speech.pool.languages,
                )
                self._recognizer.configure(options)
                self._send()  # a warning does not overtake what came before it
                for problem in problems:
                    self.warn("configure", problem)
            case EndOfAudio():
                self._recognizer.receive_end_of_audio(now)

    def _send(self) -> None:
        for event in self._recognizer.events():
            self._tell(event)
        for request in self._recognizer.requests_to_decode():
            self._speech.pool.submit(self._trail.ask(request))
        self._stats.count_speculations(self._recognizer.speculations)
        self._set_timer()

    def _set_timer(self) -> None:
        """Ring when the recognizer wants to. With each window of speech that is later: a timer that is set
        for earlier stays, and finds nothing to do."""
        deadline = self._recognizer.next_deadline()
        if self._timer:
            if deadline is not None and self._rings_at <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._rings_at = deadline
            delay = max(0.0, deadline - self._clock())
            self._timer = self._loop.call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._clock()
        if self._judging or self._inbox:
            self._recognizer.audio_waits(now)
        self._recognizer.handle_timer(now)
        self._advance()

    # ── Telling ────────────────────────────────────────────────────────────

    def _count_audio(self) -> None:
        self._speech.instrument.audio_received(self._uncounted / SAMPLE_RATE)
        self._uncounted = 0

    def _tell(self, event: Event) -> None:
        """Count an event, and hand it over."""
        event, decided = self._delivery.number(event), self._trail.now
        self._stats.count(event)
        self._speech.instrument.event_sent(event)
        self._delivery.send(event)
        if self._speech.log_transcripts and isinstance(event, TranscriptFinal):
            self.log.info("final %d: %s", event.utterance_id, event.text)
        self._trail.note(event, decided, self._recognizer.at_ms)

    # ── The end ────────────────────────────────────────────────────────────

    def _end(self) -> None:
        if self.ended.done():
            return
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._count_audio()
        audio_ms = samples_to_ms(self._inbox.received)
        assert self._ending is not None
        self._tell(
            SessionEnded(
                at_ms=self._recognizer.at_ms,
                reason=self._ending,
                stats=self._stats.told(audio_ms),
            )
        )
        # Whoever keeps the session, or a garbage collector that has yet to come to it, does not keep these.
        self._vad_state = None
        self._recognizer.release()
        self._speech.pool.detach(self.id)
        self._speech.instrument.session_closed(self._transport, self._clock() - self._started_at)
        self.log.info("ended: %s, %d ms of audio", self._ending, audio_ms)
        self.ended.set_result(self._ending)
