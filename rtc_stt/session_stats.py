"""What a session counts of its own events: for ``session.ended``, and for those who watch."""

from __future__ import annotations

from collections.abc import Mapping

from rtc_stt.events import (
    Decision,
    Event,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.instrument import Instrument
from rtc_stt.recognizer import Speculations

__all__ = ["SessionStats"]


class SessionStats:
    """Counts of one session. ``instrument`` is told what only the order of events shows."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._counts = {"utterances": 0, "finals": 0, "dropped": 0, "redecoded": 0, "partials": 0}
        self._figures: dict[str, int | float | str] = {}
        self._unheard_since: int | None = None  # start of speech that has no partial yet, ms
        self._told = (0, 0)  # speculations used and wasted

    def update(self, figures: Mapping[str, int | float | str]) -> None:
        """Tell these too; a later figure of the same name replaces an earlier one."""
        self._figures.update(figures)

    def count(self, event: Event) -> None:
        """Note an event that is about to be told."""
        counts = self._counts
        match event:
            case SpeechStarted():
                self._unheard_since = event.audio_start_ms
            case TranscriptPartial():
                counts["partials"] += 1
                if self._unheard_since is not None:
                    self._instrument.first_partial(event.at_ms - self._unheard_since)
                    self._unheard_since = None
            case TranscriptFinal():
                counts["finals"] += 1
                counts["redecoded"] += event.route.decision is Decision.REDECODED
            case UtteranceDropped():
                counts["dropped"] += 1
        counts["utterances"] = counts["finals"] + counts["dropped"]

    def count_speculations(self, now: Speculations) -> None:
        """Note how many finals were begun early, of the whole session."""
        used, wasted = self._told
        if (now.used, now.wasted) != self._told:
            self._instrument.speculated(used=now.used - used, wasted=now.wasted - wasted)
            self._told = (now.used, now.wasted)

    def told(self, audio_ms: int) -> dict[str, int | float | str]:
        """The ``stats`` of ``session.ended``."""
        return {"audio_ms": audio_ms, **self._counts, **self._figures}
