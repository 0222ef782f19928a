"""What a ``turns.json`` may say: every field is checked, and what is wrong is told with its place. Pure.

A manifest is written by hand or by a script of somebody else, and a wrong time in it makes figures wrong. So
nothing is guessed: unknown fields, times out of order and numbers that are none are refused.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeGuard

from rtc_stt.bench.turns.scene import Pause, Scene, SpokenWord, Turn
from rtc_stt.errors import BadAudio

__all__ = ["FORM", "MAX_MS", "parse"]

FORM = 1
"""The version of the form that is read here."""

MAX_MS = 3_600_000
"""Of one scene: an hour, which is 230 MB as samples."""

MAX_SCENES, MAX_TURNS, MAX_WORDS, MAX_PAUSES = 20_000, 1_000, 10_000, 1_000
"""In a manifest; in a scene; in a turn. Real ones have a few hundred, and a few dozen."""

MAX_TEXT, MAX_NAME = 100_000, 200
"""Characters of a text; of an id, a set, a file or a licence."""

SHOWN = 40
"""Characters of a wrong value in a message."""

_LANGUAGE = re.compile(r"[a-z]{2,3}")
_SET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def parse(text: str, folder: Path = Path()) -> list[Scene]:
    """The scenes of a manifest: the form above, or the list of ``tests/clips``, where a clip is one turn.

    Args:
        folder: where the files are, for :attr:`Scene.folder`; nothing is read.

    Raises:
        BadAudio: it is not of this form; the message names the scene, the turn and the field.
    """
    try:
        value = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise BadAudio(f"it is no JSON: {_reason(error)}") from error
    if isinstance(value, list):
        scenes = [_clip(entry, folder) for entry in _many(value, "clip", MAX_SCENES)]
    else:
        top = _Fields(value, "the manifest", needed=("form", "scenes"))
        if top.integer("form", 0, 2**31) != FORM:
            top.wrong("form", f"is not {FORM}, which is what is read here")
        scenes = [_scene(entry, folder) for entry in _many(top.list("scenes"), "scene", MAX_SCENES)]
    if not scenes:
        raise BadAudio("there are no scenes in it")
    _unique((scene.id for scene in scenes), "the manifest", "scenes")
    return scenes


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}, column {error.colno}"
    return str(error) if isinstance(error, _Refused) else "it cannot be read"


class _Refused(ValueError):
    """JSON that is understood, and not taken."""


def _no_number(word: str) -> NoReturn:
    raise _Refused(f"{word} is not a number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; which of two values of one field is meant nobody knows."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"the field {_shown(double)} is there twice in one object")
    return fields


# ── Scenes ──


def _scene(entry: _Entry, folder: Path) -> Scene:
    fields = _Fields(*entry, needed=("id", "set", "file", "turns"), optional=("licence",))
    fields.where = f"scene {_shown(fields.text('id', MAX_NAME))}"
    turns = [_turn(each) for each in _many(fields.list("turns"), f"{fields.where}, turn", MAX_TURNS)]
    if not turns:
        fields.wrong("turns", "is empty")
    _unique((turn.id for turn in turns), fields.where, "turns")
    _in_order(turns, fields.where, "turn", "the one before has ended")
    return Scene(
        id=fields.text("id", MAX_NAME),
        set=_set(fields),
        file=_file(fields),
        turns=tuple(turns),
        folder=folder,
        licence=fields.text("licence", MAX_NAME, default=""),
    )


def _clip(entry: _Entry, folder: Path) -> Scene:
    """An entry of the older form: one turn, of the clip's own name."""
    needed = ("id", "file", "set", "text", "language", "speech_start_ms", "speech_end_ms")
    fields = _Fields(*entry, needed=needed, optional=("words",))
    fields.where = f"clip {_shown(fields.text('id', MAX_NAME))}"
    turn = _spoken(fields, "speech_start_ms", "speech_end_ms")
    return Scene(id=turn.id, set=_set(fields), file=_file(fields), turns=(turn,), folder=folder)


def _turn(entry: _Entry) -> Turn:
    needed = ("id", "text", "language", "start_ms", "end_ms")
    fields = _Fields(*entry, needed=needed, optional=("words", "pauses"))
    fields.where += f" ({_shown(fields.text('id', MAX_NAME))})"
    return _spoken(fields, "start_ms", "end_ms")


def _spoken(fields: _Fields, start: str, end: str) -> Turn:
    start_ms, end_ms = fields.span(start, end)
    words = [_word(each) for each in _many(fields.list("words"), f"{fields.where}, word", MAX_WORDS)]
    pauses = [_pause(each) for each in _many(fields.list("pauses"), f"{fields.where}, pause", MAX_PAUSES)]
    turn = Turn(
        id=fields.text("id", MAX_NAME),
        text=fields.text("text", MAX_TEXT),
        language=fields.text("language", MAX_NAME),
        start_ms=start_ms,
        end_ms=end_ms,
        words=tuple(words),
        pauses=tuple(pauses),
    )
    if not _letters(turn.text):
        fields.wrong("text", "has no letter and no digit in it: nothing is said")
    if not _LANGUAGE.fullmatch(turn.language):
        fields.wrong("language", 'is no code of ISO 639 such as "en"')
    _check_words(turn, fields)
    _check_pauses(turn, fields)
    return turn


def _check_words(turn: Turn, fields: _Fields) -> None:
    _in_order(turn.words, fields.where, "word", "the one before has ended")
    if not turn.words:
        return
    if turn.words[0].start_ms < turn.start_ms or turn.words[-1].end_ms > turn.end_ms:
        fields.wrong("words", f"are not within the turn ({turn.start_ms} to {turn.end_ms} ms)", show=False)
    if _letters("".join(word.word for word in turn.words)) != _letters(turn.text):
        fields.wrong("words", "are not those of its text: give all of them, or none", show=False)


def _check_pauses(turn: Turn, fields: _Fields) -> None:
    _in_order(turn.pauses, fields.where, "pause", "the one before has ended")
    for pause in turn.pauses:
        if pause.start_ms <= turn.start_ms or pause.end_ms >= turn.end_ms:
            fields.wrong("pauses", "are not inside the turn: somebody speaks before and after", show=False)
    spans: list[SpokenWord | Pause] = [*turn.words, *turn.pauses]
    spans.sort(key=lambda span: (span.start_ms, span.end_ms))
    for before, after in pairwise(spans):
        if after.start_ms < before.end_ms:
            where = f"at {after.start_ms} ms"
            fields.wrong("pauses", f"say that it is silent {where} while a word is spoken", show=False)


def _word(entry: _Entry) -> SpokenWord:
    fields = _Fields(*entry, needed=("word", "start_ms", "end_ms"))
    return SpokenWord(fields.text("word", MAX_NAME), *fields.span("start_ms", "end_ms"))


def _pause(entry: _Entry) -> Pause:
    fields = _Fields(*entry, needed=("start_ms", "end_ms"))
    return Pause(*fields.span("start_ms", "end_ms"))


def _set(fields: _Fields) -> str:
    name = fields.text("set", MAX_NAME)
    if not _SET.fullmatch(name):
        fields.wrong("set", "may have letters, digits, '.', '_' and '-' only, so that --sets can name it")
    return name


def _file(fields: _Fields) -> str:
    """Within the folder by its name; that no link leads out of it is seen when it is opened."""
    name = fields.text("file", MAX_NAME)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not path.parts:
        fields.wrong("file", "must be a path inside the folder, with '/' between its parts")
    return name


def _letters(text: str) -> str:
    """What is left when case, spaces and punctuation do not count."""
    return "".join(char for char in unicodedata.normalize("NFC", text).casefold() if char.isalnum())


# ── Fields ──

_Entry = tuple[object, str]
"""A value of the file, and where it is."""


def _many(values: Sequence[object], what: str, most: int) -> Iterator[_Entry]:
    """Each of them with its place, counted from 1."""
    if len(values) > most:
        raise BadAudio(f"{what} {most + 1} is one too many: at most {most:,} are read")
    for number, value in enumerate(values, 1):
        yield value, f"{what} {number}"


class _Fields:
    """The fields of one object, read one by one. ``where`` is its place, for messages."""

    def __init__(
        self, value: object, where: str, *, needed: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> None:
        self.where = where
        if not isinstance(value, Mapping):
            raise BadAudio(f"{where} is no object: {_shown(value)}")
        self._fields = value
        for name in needed:
            if name not in value:
                raise BadAudio(f"{where}: the field {name} is missing")
        for name in value:
            if name not in needed and name not in optional:
                known = ", ".join((*needed, *optional))
                raise BadAudio(f"{where}: the field {_shown(name)} is unknown; known are {known}")

    def wrong(self, name: str, what: str, *, show: bool = True) -> NoReturn:
        value = f" {_shown(self._fields.get(name))}" if show else ""
        raise BadAudio(f"{self.where}: {name}{value} {what}")

    def text(self, name: str, most: int, *, default: str | None = None) -> str:
        """A string that is not empty, of ``most`` characters, without control characters.

        Where the field has a default it may be missing or empty."""
        value = self._fields.get(name, default)
        if not isinstance(value, str):
            self.wrong(name, "is no text")
        if not value.strip() and default is None:
            self.wrong(name, "is empty")
        if len(value) > most:
            self.wrong(name, f"has more than {most:,} characters")
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in value):
            self.wrong(name, "has control characters in it, or half of a character")
        return value

    def integer(self, name: str, least: int, most: int) -> int:
        value = self._fields[name]
        if not _is_whole(value):
            self.wrong(name, "is no whole number")
        if not least <= value <= most:
            self.wrong(name, f"is not between {least} and {most}")
        return value

    def span(self, start: str, end: str) -> tuple[int, int]:
        """Two times in ms, the second after the first."""
        first, last = self.integer(start, 0, MAX_MS), self.integer(end, 0, MAX_MS)
        if last <= first:
            self.wrong(end, f"is not after {start}, {first}")
        return first, last

    def list(self, name: str) -> Sequence[object]:
        value = self._fields.get(name, [])
        if not isinstance(value, list):
            self.wrong(name, "is no list")
        return value


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """A value as JSON, cut short: it may be anything."""
    if isinstance(value, list | dict):
        return "(a list)" if isinstance(value, list) else "(an object)"
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return "(a huge number)"
    text = json.dumps(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _in_order(spans: Sequence[Turn | SpokenWord | Pause], where: str, what: str, rule: str) -> None:
    for number, (before, after) in enumerate(pairwise(spans), 2):
        if after.start_ms < before.end_ms:
            raise BadAudio(
                f"{where}, {what} {number}: start_ms {after.start_ms} is before {rule}, at {before.end_ms}"
            )


def _unique(names: Iterator[str], where: str, what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadAudio(f"{where}: two {what} have the id {_shown(name)}")
        seen.add(name)
