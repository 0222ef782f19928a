"""Which utterance belongs to which item, and when an item is told of. Pure.

Where the server finds the turns (``server_vad``), each utterance is an item::

    speech.started   ▶ input_audio_buffer.speech_started
    partials         ▶ …transcription.delta
    speech.stopped   ▶ input_audio_buffer.speech_stopped, .committed, conversation.item.added, .done
    final            ▶ …transcription.completed

Where the client does, one item gathers what is said until ``input_audio_buffer.commit``. The session is
asked to ``finalize`` then, and what it tells until its answer belongs to the item: all of it where the answer
names no utterance (then it came at once), else up to that utterance. Which of the two it will be is known
only with the answer, so an utterance that begins while one is awaited has no place until then, and shows
nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from rtc_stt.events import (
    DropReason,
    Finalized,
    SpeechStarted,
    SpeechStopped,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from signaling.dialects.openai.errors import error_details
from signaling.dialects.openai.items import Item, Piece
from signaling.dialects.openai.settings import Form

__all__ = ["Body", "Conversation"]

Body = dict[str, Any]
"""A message of the server, without its ``event_id``."""

TRANSCRIPTION = "conversation.item.input_audio_transcription"

LOST = (DropReason.DECODE_FAILED, DropReason.CANCELLED)


@dataclass(slots=True)
class _Flush:
    """A ``finalize`` that is not answered yet."""

    id: str
    item: Item | None
    """What was committed or cleared by the client; None where the server finds the turns."""
    is_answered: bool = False
    """Nothing has to be told with the answer."""


class Conversation:
    """See above. Every method gives what is to be told, in this order."""

    def __init__(self) -> None:
        self.form = Form.GA
        self.name = ""
        """Of the session: ids of items begin with it."""
        self.logprobs = False
        self._items = 0  # so many have been named
        self._last_id: str | None = None  # of those that were committed
        self._gathering: Item | None = None
        self._placed: dict[int, tuple[Piece, Item]] = {}  # by utterance, until it is over
        self._unplaced: list[Piece] = []
        self._found: dict[int, Item] = {}  # items of the server's own finding, by utterance
        self._flushes: deque[_Flush] = deque()
        self._asked = 0

    @property
    def is_gathering(self) -> bool:
        """Whether something was said that waits for a commit."""
        return self._gathering is not None and bool(self._gathering.pieces)

    # ── What the session tells ────────────────────────────────────────────────────────────

    def start(self, event: SpeechStarted, *, finds_turns: bool) -> list[Body]:
        """Somebody speaks. ``finds_turns``: the server does, not the client."""
        piece = Piece(event.utterance_id, event.audio_start_ms)
        if not finds_turns:
            if any(flush.item for flush in self._flushes):
                self._unplaced.append(piece)
            else:
                self._place(piece, self._gather())
            return []
        item = self._make_item()
        self._found[piece.id] = item
        self._place(piece, item)
        return [
            {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": event.audio_start_ms,
                "item_id": item.id,
            }
        ]

    def grow(self, event: TranscriptPartial) -> list[Body]:
        """More of it is stable, perhaps."""
        piece, item = self._find(event.utterance_id)
        if piece is None:
            return []
        piece.text = event.text[: event.stable_chars]
        return self._delta(item)

    def stop(self, event: SpeechStopped) -> list[Body]:
        """They are silent."""
        piece, _ = self._find(event.utterance_id)
        if piece is None:
            return []
        piece.end_ms = event.audio_end_ms
        item = self._found.get(event.utterance_id)
        if item is None:
            return []
        stopped = {
            "type": "input_audio_buffer.speech_stopped",
            "audio_end_ms": event.audio_end_ms,
            "item_id": item.id,
        }
        if item.is_void:
            return [stopped]
        if waiting := next((f for f in self._flushes if not f.item and not f.is_answered), None):
            waiting.is_answered = True
        return [stopped, *self._commit(item)]

    def end(self, event: TranscriptFinal | UtteranceDropped) -> list[Body]:
        """It is over, with a text or without."""
        piece, item = self._find(event.utterance_id)
        if piece is None:
            return []
        if isinstance(event, TranscriptFinal):
            piece.conclude(event.text, event.words)
        else:
            piece.conclude("", is_lost=event.reason in LOST)
        if item is not None:
            del self._placed[piece.id]
        if self._found.pop(piece.id, None):
            assert item
            return self._finish(item)
        return self._delta(item)

    def finalize(self, event: Finalized) -> list[Body]:
        """The answer to a flush."""
        if not self._flushes or self._flushes[0].id != event.id:
            return []
        flush = self._flushes.popleft()
        told: list[Body] = []
        if flush.item:
            last = event.utterance_id
            self._settle([p for p in self._unplaced if last is None or p.id <= last], flush.item)
            told += self._finish(flush.item)
        elif not flush.is_answered:
            silent = self._make_item()
            told += [*self._commit(silent), *self._finish(silent)]
        if self._unplaced and not any(flush.item for flush in self._flushes):
            item = self._gather()
            self._settle(list(self._unplaced), item)
            told += self._delta(item)
        return told

    # ── What the client does ────────────────────────────────────────────────────────────

    def commit(self, seconds: float | None, *, finds_turns: bool) -> tuple[str, list[Body]]:
        """What was said so far belongs together. Gives the id of the ``finalize`` to ask for, too.

        Args:
            seconds: of audio since the last commit, where it is counted.
        """
        if finds_turns:
            return self._ask(None), []
        item, self._gathering = self._gather(), None
        item.seconds = seconds
        return self._ask(item), self._commit(item)

    def clear(self, *, finds_turns: bool) -> str:
        """What was said so far is not wanted. Gives the id of the ``finalize`` to ask for."""
        for item in self._found.values():
            if not item.is_done and not item.is_committed:
                item.is_void = True
        if finds_turns:
            return self._ask(None, is_answered=True)
        item, self._gathering = self._gather(), None
        item.is_void = True
        return self._ask(item)

    # ── Items ────────────────────────────────────────────────────────────

    def _make_item(self) -> Item:
        self._items += 1
        return Item(f"item_{self.name}_{self._items}")

    def _gather(self) -> Item:
        if self._gathering is None:
            self._gathering = self._make_item()
        return self._gathering

    def _place(self, piece: Piece, item: Item) -> None:
        item.pieces.append(piece)
        self._placed[piece.id] = piece, item

    def _settle(self, pieces: list[Piece], item: Item) -> None:
        """These have their place now; those that are over are not found any more."""
        for piece in pieces:
            self._unplaced.remove(piece)
            self._place(piece, item)
            if piece.is_over:
                del self._placed[piece.id]

    def _find(self, utterance_id: int) -> tuple[Piece | None, Item | None]:
        if utterance_id in self._placed:
            return self._placed[utterance_id]
        return next((p for p in self._unplaced if p.id == utterance_id), None), None

    def _ask(self, item: Item | None, *, is_answered: bool = False) -> str:
        self._asked += 1
        flush = _Flush(f"commit-{self._asked}", item, is_answered)
        self._flushes.append(flush)
        return flush.id

    # ── Messages ────────────────────────────────────────────────────────────

    def _delta(self, item: Item | None) -> list[Body]:
        text = item.grow() if item else ""
        if not item or not text:
            return []
        return [{"type": f"{TRANSCRIPTION}.delta", "item_id": item.id, "content_index": 0, "delta": text}]

    def _commit(self, item: Item) -> list[Body]:
        item.is_committed = True
        previous, self._last_id = self._last_id, item.id
        body = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        kinds = ("created",) if self.form is Form.BETA else ("added", "done")
        return [
            {"type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": item.id},
            *(
                {"type": f"conversation.item.{kind}", "previous_item_id": previous, "item": body}
                for kind in kinds
            ),
        ]

    def _finish(self, item: Item) -> list[Body]:
        told = self._delta(item)
        if item.is_void or item.is_done:
            return []
        item.is_done = True
        about: Body = {"item_id": item.id, "content_index": 0}
        if item.is_lost:
            error = error_details(
                "what was said could not be decoded", code="decode_failed", kind="server_error"
            )
            return [*told, {"type": f"{TRANSCRIPTION}.failed", **about, "error": error}]
        done = {"type": f"{TRANSCRIPTION}.completed", **about, "transcript": item.transcript}
        if self.logprobs:
            done["logprobs"] = item.logprobs
        return [*told, done | {"usage": item.usage}]
