"""The target without a network: a session in this process, with the models as the demo ships them.

The player shares the event loop with the sessions, so what decides there is in its figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rtc_stt.audio import Samples
from rtc_stt.bench.turns.target import Hear
from rtc_stt.bench.turns.targets.ours import configuration, tell
from rtc_stt.bench.voice import MakeSpeech
from rtc_stt.commands import Configure
from rtc_stt.errors import TargetFailed
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from rtc_stt.session import Session, Speech

__all__ = ["InProcess"]


class InProcess:
    """See above.

    Args:
        make_speech: loads the models.
        hangover_ms: of every session.
    """

    name = "in-process"

    def __init__(self, make_speech: MakeSpeech, *, hangover_ms: int = 500) -> None:
        self._make_speech = make_speech
        self._hangover_ms = hangover_ms
        self._speech: Speech | None = None
        self._models: Mapping[str, str | None] = {}

    @property
    def facts(self) -> Mapping[str, object]:
        """See :class:`~rtc_stt.bench.turns.target.Target`."""
        own = {"kind": "in-process", "transport": "none", "hangover": "configured"}
        return {**own, "models": dict(self._models)}

    async def start(self) -> None:
        """Load the models, and warm them."""
        self._speech = await asyncio.to_thread(self._make_speech, Instrument(), {})
        self._models = self._speech.pool.models

    async def connect(self, hear: Hear, language: str | None) -> InProcessLine:
        """A session of its own."""
        if self._speech is None:
            raise TargetFailed("the target was not started")
        return InProcessLine(self._speech, hear, configuration(self._hangover_ms, language))

    async def close(self) -> None:
        """Stop the models' threads."""
        speech, self._speech = self._speech, None
        if speech:
            await speech.aclose()


class InProcessLine:
    """One session."""

    def __init__(self, speech: Speech, hear: Hear, options: Mapping[str, object]) -> None:
        self._hear: Hear | None = hear
        self._session = Session(speech, self._receive, transport="bench")
        self._session.start()
        self._session.receive_command(Configure(options))

    def send(self, frame: Samples) -> None:
        """See :class:`~rtc_stt.bench.turns.target.Line`."""
        self._session.receive_audio(frame)

    async def close(self) -> None:
        """End the session; nothing more is told."""
        self._hear = None
        self._session.abort("stopped")

    def _receive(self, event: Event) -> None:
        if self._hear and (told := tell(event)):
            self._hear(told)
