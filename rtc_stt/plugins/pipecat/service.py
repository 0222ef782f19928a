"""The service: Pipecat's frames in, our events out as frames.

Its base is ``STTService`` and not ``WebsocketSTTService``: that one owns a connection of the package
``websockets``, with retries of its own that lose the audio in flight. Here
:class:`~rtc_stt.client.StreamClient` owns the connection, its heartbeats and the audio that may have to be
said again, and :mod:`~rtc_stt.plugins.pipecat.line` the time without one. What becomes of events is decided
in :mod:`~rtc_stt.plugins.pipecat.mapping`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import fields
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    STTMetadataFrame,
    STTMuteFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.stt_service import STTService
from pipecat.transcriptions.language import Language
from pipecat.turns.eager_end_of_turn_mixin import EagerEndOfTurnSTTServiceMixin
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.tracing.service_decorators import traced_stt

from rtc_stt.client import State, StreamClient
from rtc_stt.errors import RtcSttError
from rtc_stt.events import Event, SessionWarning
from rtc_stt.plugins.pipecat.errors import category
from rtc_stt.plugins.pipecat.line import Line
from rtc_stt.plugins.pipecat.mapping import (
    Act,
    Committed,
    Eager,
    EagerIsVoid,
    Interim,
    Mapping,
    TurnBegins,
    TurnEnds,
)
from rtc_stt.plugins.pipecat.settings import (
    RtcSTTSettings,
    language_code,
    options,
    server_defaults,
    spoken,
)

__all__ = ["TTFS_P99", "RtcSTTService"]

TTFS_P99 = 0.35
"""Seconds from the end of speech to the final, 99th percentile: Pipecat's ``stop_secs`` of 0.2; 0.05, of
which the demo models take 0.03 (``docs/results/ttfs.json``); and 0.1 for a network and a busy server."""

PATIENCE_S = 30.0
"""As long as audio is kept: who comes back later than that has lost words."""

STILL_S = 1.0
"""Without audio in a turn of the server's, after which the turn is over; as long as Pipecat's detector waits.
The server itself waits 15 s for audio that may have to be sent again."""

DRAIN_S = 1.0
"""For the events of a session that has ended."""

REFUSED_OPTIONS = frozenset({"configure", "bad_field", "unknown_field"})
"""Codes of warnings that say that an option was not taken."""


class RtcSTTService(EagerEndOfTurnSTTServiceMixin, STTService):
    """Streaming speech-to-text by an rtc-stt server.

    Pipecat's turn strategies decide when a turn ends, with a voice activity detector in the pipeline: when
    that tells the end of speech, what was heard is committed at once (``finalized``). With ``server_turns``
    the server decides: its endpoints become proposals, for which the service recommends external strategies.

    A connection that breaks is made again, and the audio that had not arrived is sent again: the pipeline
    notices nothing. Errors are pushed with a category, and never with a key in them.

    ``frame.result`` is the event (:mod:`rtc_stt.events`): words and their times, confidence, route, timing.

    Args:
        url: of the server, such as ``https://stt.example.org``.
        key: an API key.
        token: of ``POST /v1/tokens``, instead.
        server_turns: whether the server decides when a turn begins and ends.
        should_interrupt: whether the beginning of a turn interrupts the bot; with ``server_turns`` only.
        enable_eager_end_of_turn: whether the language model is asked as soon as the speaker pauses, and its
            answer used if they do not go on; with ``server_turns`` only.
        patience_s: for how long a connection is tried before the service says that it is unusable. It goes
            on trying, and says when it is usable again.
        settings: see :class:`RtcSTTSettings`; the rest is the server's default.
        ttfs_p99_latency: as measured on your own server (``python -m rtc_stt.bench.plugins``).
        **kwargs: of ``STTService``, such as ``sample_rate``, and ``eager_match_policy``.

    Raises:
        ValueError: eager ends of turns are wanted without ``server_turns``.
    """

    Settings = RtcSTTSettings
    _settings: RtcSTTSettings

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        token: str | None = None,
        server_turns: bool = False,
        should_interrupt: bool = True,
        enable_eager_end_of_turn: bool = False,
        patience_s: float = PATIENCE_S,
        settings: RtcSTTSettings | None = None,
        ttfs_p99_latency: float | None = TTFS_P99,
        **kwargs: Any,
    ) -> None:
        if enable_eager_end_of_turn and not server_turns:
            raise ValueError("enable_eager_end_of_turn needs server_turns: the server tells the eager end")
        whole = server_defaults()
        if settings is not None:
            whole.apply_update(settings)
        super().__init__(
            settings=whole,
            ttfs_p99_latency=ttfs_p99_latency,
            enable_eager_end_of_turn=enable_eager_end_of_turn,
            **kwargs,
        )
        self._url, self._key, self._token = url, key, token
        self._server_turns = server_turns
        self._should_interrupt = should_interrupt
        self._patience_s = patience_s
        self._mapping = Mapping(server_turns=server_turns)
        self._line: Line | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_connected = False  # as it was told
        self._heard_at = 0.0  # when audio last came
        self._stillness: asyncio.TimerHandle | None = None  # while a turn of the server's goes on

    # ── What Pipecat wants to know ────────────────────────────────────────────────────────────

    def can_generate_metrics(self) -> bool:
        """Time to the final after the end of speech, and seconds of audio."""
        return True

    @property
    def supports_ttfs(self) -> bool:
        """Not where the server tells the end of speech together with the final."""
        return not self._server_turns

    def language_to_service_language(self, language: Language) -> str:
        """Whisper's code of a language."""
        return language_code(language)

    def service_metadata_frame(self) -> STTMetadataFrame:
        """The latency, and with ``server_turns`` the strategies that leave turns to the server."""
        frame = super().service_metadata_frame()
        if self._server_turns:
            frame.user_turn_strategies = self.recommended_user_turn_strategies(
                enable_interruptions=self._should_interrupt
            )
        return frame

    # ── Its life ────────────────────────────────────────────────────────────

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to connect; the pipeline does not wait for it, and what is spoken meanwhile is kept."""
        await super().setup(setup)
        await self._begin()

    async def stop(self, frame: EndFrame) -> None:
        """Wait for the last final, and end the session."""
        if self._line and self._running and await self._line.stop():
            await asyncio.wait([self._running], timeout=DRAIN_S)
        await self._end()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End the session at once."""
        await super().cancel(frame)
        await self._end()

    async def cleanup(self) -> None:
        """Leave nothing behind."""
        await super().cleanup()
        await self._end()

    async def _begin(self) -> None:
        line = Line(self._client, self, bytes_per_s=2 * self.sample_rate, patience_s=self._patience_s)
        await line.configure(options(self._settings, self._set()))
        if self._muted:
            await line.mute(True)
        self._line = line
        self._running = self.create_task(self._run(line), "rtc_stt")

    async def _revive(self) -> None:
        """It had given up, and someone has said that it is usable again."""
        if self._running and self._running.done():
            await self._begin()

    async def _end(self) -> None:
        if self._stillness:
            self._stillness.cancel()
        running, self._running, self._line = self._running, None, None
        if running:
            await self.cancel_task(running)
            await self._tell_connection(False)

    async def _run(self, line: Line) -> None:
        try:
            await line.run()
        except Exception as error:
            logger.error(f"{self}: {type(error).__name__}")
            await self.push_error(
                f"speech-to-text has failed: {type(error).__name__}", force_treat_as_permanent=True
            )

    def _client(self, on_state: Any) -> StreamClient:
        return StreamClient(
            self._url,
            key=self._key,
            token=self._token,
            sample_rate=self.sample_rate,
            patience_s=self._patience_s,
            first_patience_s=0.0,  # the line is patient, and tells
            on_state=on_state,
            on_lost_audio=self._on_lost_audio,
        )

    def _set(self) -> Iterable[str]:
        """The settings that differ from the server's defaults."""
        return [f.name for f in fields(self._settings) if getattr(self._settings, f.name) is not None]

    # ── Frames in ────────────────────────────────────────────────────────────

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Hand on 16 bit mono audio; transcripts come by themselves."""
        await self._revive()
        if self._line:
            self._heard_at = asyncio.get_running_loop().time()
            self._line.push(audio)
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """As the base does; the end of speech commits what was heard, and mute goes to the server."""
        await super().process_frame(frame, direction)
        match frame:
            case VADUserStartedSpeakingFrame():
                self._mapping.forgo()
            case VADUserStoppedSpeakingFrame() if self._line and self.is_usable and not self._server_turns:
                self.request_finalize()
                self._mapping.ask()
                self._line.finalize()
            case STTMuteFrame() if self._line:
                await self._line.mute(frame.mute)

    async def _update_settings(  # type: ignore[override]
        self, delta: RtcSTTSettings
    ) -> dict[str, Any]:
        """Change options of the session as it goes on."""
        changed = await super()._update_settings(delta)
        given = options(self._settings, changed)
        if given and self._line:
            await self._line.configure(given)
        self._warn_unhandled_updated_settings(changed.keys() - given.keys())
        if changed:
            await self._revive()
        return changed

    # ── Events out ────────────────────────────────────────────────────────────

    async def on_event(self, event: Event) -> None:
        """An event of the session becomes frames."""
        if isinstance(event, SessionWarning):
            await self._warn(event)
        for act in self._mapping.tell(event):
            await self._do(act)

    async def on_failure(self, error: RtcSttError, *, lasts: bool) -> None:
        """There is no session: what is owed is answered for, and the pipeline is told."""
        for act in self._mapping.abandon():
            await self._do(act)
        await self._tell_connection(False)
        text = str(error)
        for secret in filter(None, (self._key, self._token)):
            text = text.replace(secret, "***")  # a proxy may have quoted what it was sent
        await self._call_event_handler("on_connection_error", text)
        await self.push_error(text, category=category(error), force_treat_as_permanent=lasts)

    def on_state(self, state: State) -> None:
        """The connection comes or goes; that the session ends is told by other ways."""
        if state is not State.ENDED:
            self.create_task(self._tell_connection(state is State.CONNECTED), "rtc_stt_connection")

    async def _tell_connection(self, is_there: bool) -> None:
        if is_there:
            await self.set_usable(True)
        if is_there != self._is_connected:
            self._is_connected = is_there
            await self._call_event_handler("on_connected" if is_there else "on_disconnected")

    def _on_lost_audio(self, seconds: float) -> None:
        logger.warning(
            f"{self}: {seconds:.1f} s of audio were given up, there was no connection for too long"
        )

    async def _warn(self, event: SessionWarning) -> None:
        if event.code in REFUSED_OPTIONS:
            await self.push_error(event.message, category=ErrorCategory.APPLICATION)
        else:
            logger.info(f"{self}: {event.code}: {event.message}")

    async def _do(self, act: Act) -> None:
        match act:
            case Interim():
                await self.push_frame(
                    InterimTranscriptionFrame(
                        act.text, self._user_id, time_now_iso8601(), spoken(act.language), result=act.event
                    )
                )
            case Committed():
                await self._commit(act)
            case Eager():
                await self._push_eager_end_of_turn(
                    act.text, user_id=self._user_id, language=spoken(act.language), result=act.event
                )
            case EagerIsVoid():
                await self._cancel_eager_end_of_turn()
            case TurnBegins():
                self._watch_stillness()
                await self.broadcast_frame(ProposedUserStartedSpeakingFrame)
            case TurnEnds():
                await self.broadcast_frame(ProposedUserStoppedSpeakingFrame)

    def _watch_stillness(self) -> None:
        """A turn cannot end without audio: where the transport gives none any more, it is committed."""
        loop = asyncio.get_running_loop()
        if self._stillness:
            self._stillness.cancel()
        if self._line is None or not self._mapping.in_turn:
            return
        left = self._heard_at + STILL_S - loop.time()
        if left <= 0:
            self._line.finalize()
            left = STILL_S
        self._stillness = loop.call_later(left, self._watch_stillness)

    async def _commit(self, act: Committed) -> None:
        language = spoken(act.language)
        if act.settles_eager:
            self._clear_eager_end_of_turn()
        if act.finalized and not self._server_turns:
            self.confirm_finalize()
        await self.emit_stt_usage_metrics()  # before the frame: tracing closes the span with it
        await self.push_frame(
            TranscriptionFrame(
                act.text,
                self._user_id,
                time_now_iso8601(),
                language,
                result=act.event,
                finalized=act.finalized,
            )
        )
        await self._handle_transcription(act.text, True, language)

    @traced_stt
    async def _handle_transcription(
        self, transcript: str, is_final: bool, language: Language | None = None
    ) -> None:
        """Where tracing looks."""
