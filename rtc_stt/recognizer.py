"""The state of one audio stream: audio and hypotheses in, decode requests and events out.

No clock, no thread, no model. Media time (samples) drives endpointing and every timestamp a user sees;
``now``, passed in, drives deadlines only. Whoever owns a recognizer calls ``receive_*``, then sends what
``requests_to_decode()`` and ``events()`` return, and calls ``handle_timer`` at ``next_deadline()``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from rtc_stt.audio import WINDOW, AudioBuffer, AudioFrame, ms_to_samples, samples_to_ms
from rtc_stt.commit import Commit, Lengths
from rtc_stt.config import RedecodeMode, Routing, StreamOptions
from rtc_stt.endpointer import (
    Endpointer,
    Paused,
    Resumed,
    Signal,
    SpeechEvidence,
    Started,
    Stopped,
)
from rtc_stt.events import (
    DropReason,
    Event,
    Finalized,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
)
from rtc_stt.finalizer import Dropped, Finalizer
from rtc_stt.gaps import Gaps
from rtc_stt.hypothesis import DecodeFailure, DecodeRequest, Hypothesis, Tier, Urgency
from rtc_stt.load import FULL_EFFORT
from rtc_stt.segment import Segment
from rtc_stt.utterance import Utterance

__all__ = ["STALL_S", "Recognizer", "Speculations"]

STALL_S = 1.0
"""An open utterance whose audio stops arriving for so long is finalised with what was heard: a track that
was taken away or a dead network sends nothing, so the hangover would never run out."""


@dataclass(slots=True)
class Speculations:
    """What became of final decodes that were started in a pause."""

    used: int = 0
    wasted: int = 0


HOLE = ms_to_samples(1000)
"""Who was speaking when audio was lost is taken to speak on for so long: a hole shorter than a stall does
not cut a sentence in two."""


class Recognizer:
    """Sans-IO state of one audio stream.

    Args:
        position: media time at which it begins.
        utterances: ids up to this one have been used before.
    """

    def __init__(
        self,
        stream_id: str,
        options: StreamOptions,
        routing: Routing,
        *,
        has_accurate_tier: bool,
        position: int = 0,
        utterances: int = 0,
    ) -> None:
        self.stream_id = stream_id
        self.speculations = Speculations()
        self.effort = FULL_EFFORT
        """What this stream may ask of the machine now; set by its owner as load changes."""
        self._options = options
        self._history = _history(options)
        self._routing = routing
        self._has_accurate = has_accurate_tier
        self._endpointer = Endpointer(options.endpointing)
        self._buffer = AudioBuffer(position)
        self._gaps = Gaps()
        self._taken = position  # audio up to here belongs to utterances that are over
        self._next_id = utterances + 1
        self._current: Utterance | None = None
        self._closing: deque[Utterance] = deque()  # past their endpoint; told in the order of speech
        self._muted = False
        self._heard = 0.0  # the detector's last opinion
        self._hole: list[AudioFrame] = []  # lost within an utterance; how to take them depends on how many
        self._hole_is_long = False
        self._last_audio_at = 0.0
        self._stall_s: float | None = STALL_S
        self._requests: list[DecodeRequest] = []
        self._events: list[Event] = []

    # ── What comes in ────────────────────────────────────────────────────────────

    def receive_audio(self, frame: AudioFrame, speech_probability: float, now: float) -> None:
        """Take the next frame and the detector's opinion of it, in [0, 1]; a lost one needs none."""
        if self._muted:
            frame, speech_probability = AudioFrame(frame.start, np.zeros_like(frame.samples)), 0.0
        self._last_audio_at = now
        if not frame.is_lost:
            self._leave_hole(self._heard, now)
            self._heard, self._hole_is_long = speech_probability, False
            self._hear(frame, speech_probability, now)
        elif self._current and not self._hole_is_long:
            self._hole.append(frame)
            if frame.end - self._hole[0].start > HOLE:
                self._hole_is_long = True
                self._leave_hole(0.0, now)
        else:
            self._hear(frame, 0.0, now)

    def _leave_hole(self, speech_probability: float, now: float) -> None:
        """Take the lost frames as speech or silence, now that it is known how many there are."""
        hole, self._hole = self._hole, []
        for frame in hole:
            self._hear(frame, speech_probability, now)

    def _hear(self, frame: AudioFrame, speech_probability: float, now: float) -> None:
        if self._current:
            self._keep_short(self._current, frame.end)
        self._buffer.append(frame)
        self._gaps.add(frame)
        for signal in self._endpointer.receive(frame, speech_probability):
            self._follow(signal, now)
        if self._current:
            self._ask_for_partial(self._current)
        else:
            self._buffer.trim(max(self._taken, frame.end - self._history))
            self._gaps.trim(self._buffer.start)

    def receive_hypothesis(self, answer: Hypothesis | DecodeFailure, now: float) -> None:
        """Take the answer to one request; one that nobody waits for any more is ignored."""
        utterance = self._find(answer.request.utterance_id)
        if utterance is None:
            return
        if answer.request.urgency is Urgency.PARTIAL:
            self._receive_partial(utterance, answer)
            return
        segment = next((s for s in utterance.segments if s.answers(answer)), None)
        if segment is None or segment.attempt is None:
            return
        segment.attempt.finalizer.receive(answer, may_redecode=self.effort.redecode)
        if utterance.endpoint:
            self._advance(utterance, now)
        elif segment is utterance.open:
            self._speculate(utterance)
        else:
            self._ask_for_final(utterance, segment)
            segment.settle()

    def receive_end_of_audio(self, now: float) -> None:
        """No more audio will come: an open utterance is finalised."""
        self._stop_speech(now)

    def finalize(self, request_id: str, now: float) -> None:
        """Commit what is heard so far. Always answered by one ``finalized``, after the final if any."""
        open_one = self._current
        self._stop_speech(now)
        if self._closing:
            self._closing[-1].finalize_ids.append(request_id)
        else:  # there was nothing to end, or its final was ready
            ended = open_one.id if open_one and self._current is None else None
            self._tell(Finalized(at_ms=self.at_ms, id=request_id, utterance_id=ended))

    def mute(self, on: bool, now: float) -> None:
        """While muted, audio counts as silence and none of it is kept."""
        if on:
            self._stop_speech(now)
        self._muted = on

    def expect_audio(self, within_s: float | None, now: float) -> None:
        """How long audio may stop from here on before an open utterance is finalised, instead of ``STALL_S``.

        None: for as long as it takes. A client that sends again what did not arrive leaves no hole: what it
        was saying goes on when it is back.
        """
        self._stall_s, self._last_audio_at = within_s, now

    def audio_waits(self, now: float) -> None:
        """Audio has come that is yet to be judged: however late the detector is, the stream goes on."""
        self._last_audio_at = now

    def configure(self, options: StreamOptions) -> None:
        """Use other options from here on; requests already made keep theirs."""
        self._options = options
        self._history = _history(options)
        self._endpointer.options = options.endpointing

    def cancel(self, now: float) -> None:
        """Drop everything that is open: nobody is there to hear it."""
        self._endpointer.stop()
        if self._current:
            self._closing.append(self._current)
            self._current = None
        for utterance in self._closing:
            utterance.verdict = utterance.verdict or Dropped(DropReason.CANCELLED)
        self._tell_verdicts(now)

    def release(self) -> None:
        """It is idle, and nothing more comes: let go of the audio."""
        self._buffer.release()

    def handle_timer(self, now: float) -> None:
        """Act on every deadline that has passed."""
        if self._stalls_at is not None and now >= self._stalls_at:
            self._stop_speech(now)
        for utterance in list(self._closing):
            if utterance.deadline is None or now < utterance.deadline:
                continue
            for segment in utterance.unsettled:
                if segment.attempt and segment.deadline is not None and now >= segment.deadline:
                    segment.attempt.finalizer.give_up(may_redecode=self.effort.redecode)
            self._advance(utterance, now)

    # ── What goes out ────────────────────────────────────────────────────────────

    @property
    def at_ms(self) -> int:
        """Media time: audio received so far."""
        return samples_to_ms(self._buffer.end)

    @property
    def options(self) -> StreamOptions:
        """The options in force."""
        return self._options

    @property
    def is_muted(self) -> bool:
        """Whether audio counts as silence."""
        return self._muted

    @property
    def utterances(self) -> int:
        """How many have begun so far: the id of the newest."""
        return self._next_id - 1

    @property
    def is_idle(self) -> bool:
        """Whether no utterance is open or waits for its final."""
        return self._current is None and not self._closing

    @property
    def is_silent(self) -> bool:
        """Whether nobody speaks, as far as is known; finals may be waited for."""
        return self._current is None

    def next_deadline(self) -> float | None:
        """When ``handle_timer`` wants to be called next, on the clock of ``now``."""
        stalls_at = self._stalls_at
        if not self._closing:  # as it is with every window of speech
            return stalls_at
        deadlines = [u.deadline for u in self._closing if u.deadline is not None]
        if stalls_at is not None:
            deadlines.append(stalls_at)
        return min(deadlines, default=None)

    @property
    def _stalls_at(self) -> float | None:
        """When the open utterance ends for want of audio."""
        waits = self._current is not None and self._stall_s is not None
        return self._last_audio_at + self._stall_s if waits else None  # type: ignore[operator]

    def requests_to_decode(self) -> list[DecodeRequest]:
        """The requests since the last call. One that repeats a name with more urgency promotes it."""
        requests, self._requests = self._requests, []
        return requests

    def events(self) -> list[Event]:
        """The events since the last call, not yet numbered."""
        events, self._events = self._events, []
        return events

    # ── Speech ────────────────────────────────────────────────────────────

    def _follow(self, signal: Signal, now: float) -> None:
        match signal:
            case Started(start):
                self._open(start)
            case Paused(speech_end, evidence):
                assert self._current
                if self.effort.eager and not self._is_too_short(self._current, evidence):
                    self._attempt_final(self._current, self._buffer.end, speech_end, evidence)
                    self._speculate(self._current)
            case Resumed():
                assert self._current
                self._take_back(self._current)
                self._keep_short(self._current, self._buffer.end)
            case Stopped():
                self._close(signal, now)

    def _open(self, start: int) -> None:
        preroll = ms_to_samples(self._options.endpointing.preroll_ms)
        audio_start = max(self._taken, start - preroll, self._buffer.start)
        self._current = Utterance(self.stream_id, self._next_id, start, audio_start)
        self._next_id += 1
        self._buffer.trim(audio_start)  # after a cut: endless speech has no silence in which to trim
        self._tell(
            SpeechStarted(
                at_ms=self.at_ms,
                utterance_id=self._current.id,
                audio_start_ms=samples_to_ms(start),
            )
        )

    def _ask_for_partial(self, utterance: Utterance) -> None:
        wanted = self._options.partials and self._endpointer.is_speaking
        if wanted and utterance.partial_is_due(self._buffer.end):
            audio = self._buffer.slice(utterance.open.audio_start, self._buffer.end)
            self._requests.append(
                utterance.ask_for_partial(audio, self._options, self.effort.partial_stretch)
            )

    def _take_back(self, utterance: Utterance) -> None:
        """The pause was none: the speculative final is thrown away."""
        attempt, utterance.open.attempt = utterance.open.attempt, None
        if attempt:
            self.speculations.wasted += 1
            if attempt.eager_told:
                self._tell(SpeechResumed(at_ms=self.at_ms, utterance_id=utterance.id))

    def _stop_speech(self, now: float) -> None:
        self._leave_hole(0.0, now)
        stopped = self._endpointer.stop()
        if stopped:
            self._close(stopped, now)

    def _close(self, stopped: Stopped, now: float) -> None:
        """The endpoint. The speculative final becomes the final; where there is none, one is begun."""
        utterance = self._current
        assert utterance
        self._current = None
        self._taken = stopped.audio_end
        owned = utterance.audio_start, stopped.audio_end
        utterance.stop(stopped, self._gaps.within((utterance.speech_start, stopped.speech_end), owned), now)
        self._gaps.trim(stopped.audio_end)
        self._closing.append(utterance)
        self._tell(
            SpeechStopped(
                at_ms=self.at_ms,
                utterance_id=utterance.id,
                audio_end_ms=samples_to_ms(stopped.speech_end),
            )
        )
        if utterance.open.attempt:
            self.speculations.used += 1
        elif self._is_too_short(utterance, stopped.evidence):
            is_all = len(utterance.segments) == 1
            utterance.open.verdict = Dropped(DropReason.TOO_SHORT if is_all else DropReason.NO_SPEECH)
        else:
            self._attempt_final(utterance, stopped.audio_end, stopped.speech_end, stopped.evidence)
        self._advance(utterance, now)

    def _is_too_short(self, utterance: Utterance, evidence: SpeechEvidence) -> bool:
        """Whether there is too little speech to decode; after a commit any speech goes on from there."""
        if len(utterance.segments) > 1:
            return evidence.speech_ms == 0
        return evidence.speech_ms < self._options.endpointing.min_speech_ms

    # ── Commits ────────────────────────────────────────────────────────────

    def _receive_partial(self, utterance: Utterance, answer: Hypothesis | DecodeFailure) -> None:
        partial = utterance.receive_partial(answer, self.at_ms)
        if partial:
            self._tell(partial)
        if utterance is self._current and isinstance(answer, Hypothesis):
            commit = utterance.point_to_commit(answer, self._endpointer, self._options)
            if commit:
                self._commit(utterance, commit)

    def _keep_short(self, utterance: Utterance, end: int) -> None:
        """Whatever happens, no segment gets longer than a model can hear; in a pause it does not grow."""
        bound = Lengths.of(self._options.commit_after_s).bound
        while utterance.open.attempt is None and end - utterance.open.audio_start > bound:
            point = utterance.point_at_any_price(self._buffer.end, self._endpointer, self._options)
            self._commit(utterance, point)

    def _commit(self, utterance: Utterance, commit: Commit) -> None:
        """Decode the audio up to a point for good, and let it go."""
        evidence = self._endpointer.commit(commit.position)
        segment = utterance.commit(commit)
        audio = self._buffer.slice(segment.audio_start, commit.position)
        self._buffer.trim(commit.position)
        if evidence.speech_ms == 0:
            segment.verdict = Dropped(DropReason.NO_SPEECH)
            return
        # No draft: which words of the partial belong to this audio is not known for certain.
        utterance.attempt_final(segment, audio, self._finalizer(segment, evidence))
        self._ask_for_final(utterance, segment)

    # ── Finals ────────────────────────────────────────────────────────────

    def _attempt_final(
        self, utterance: Utterance, audio_end: int, speech_end: int, evidence: SpeechEvidence
    ) -> None:
        segment = utterance.open
        audio = self._buffer.slice(segment.audio_start, audio_end)
        draft = utterance.draft(speech_end) if self._routing.redecode_mode is RedecodeMode.VERIFY else None
        utterance.attempt_final(segment, audio, self._finalizer(segment, evidence), draft)

    def _finalizer(self, segment: Segment, evidence: SpeechEvidence) -> Finalizer:
        return Finalizer(
            evidence,
            self._routing,
            has_accurate_tier=self._has_accurate,
            last_partial=segment.fallback(words=self._options.word_timestamps),
        )

    def _speculate(self, utterance: Utterance) -> None:
        """In the hangover: tell the eager text once, and let every decode that is needed begin now."""
        attempt = utterance.open.attempt
        assert attempt
        text = utterance.eager_text
        if text is not None and not attempt.eager_told:
            attempt.eager_told = True
            self._tell(TranscriptEager(at_ms=self.at_ms, utterance_id=utterance.id, text=text))
        self._ask_for_final(utterance, utterance.open)

    def _advance(self, utterance: Utterance, now: float) -> None:
        """Past the endpoint: ask for what is missing, with a deadline, and tell what is decided."""
        if utterance.verdict is None:
            utterance.settle()
            for segment in utterance.unsettled:
                tier = self._ask_for_final(utterance, segment)
                if tier:
                    segment.deadline = now + self._patience_s(tier)
        self._tell_verdicts(now)

    def _patience_s(self, tier: Tier) -> float:
        routing = self._routing
        accurate = tier is Tier.ACCURATE
        return (routing.redecode_deadline_ms if accurate else routing.decode_deadline_ms) / 1000

    def _ask_for_final(self, utterance: Utterance, segment: Segment) -> Tier | None:
        request = utterance.ask_for_final(segment, self._options)
        if request is None:
            return None
        self._requests.append(request)
        return request.tier

    def _tell_verdicts(self, now: float) -> None:
        """Tell the verdicts whose turn has come: finals leave in the order of speech."""
        while self._closing and self._closing[0].verdict:
            utterance = self._closing.popleft()
            for event in utterance.conclusion(self.at_ms, now):
                self._tell(event)
            for request_id in utterance.finalize_ids:
                self._tell(Finalized(at_ms=self.at_ms, id=request_id, utterance_id=utterance.id))

    def _find(self, utterance_id: int) -> Utterance | None:
        for utterance in self._closing:
            if utterance.id == utterance_id:
                return utterance
        if self._current and self._current.id == utterance_id:
            return self._current
        return None

    def _tell(self, event: Event) -> None:
        self._events.append(event)


def _history(options: StreamOptions) -> int:
    """Samples kept in silence: the pre-roll, and an onset that may yet become speech."""
    return ms_to_samples(options.endpointing.preroll_ms + options.endpointing.onset_ms) + 2 * WINDOW
