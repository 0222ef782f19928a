"""What a stream is asked for, and the ``configure`` that says so. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["MAX_TEXT", "Conversation", "Options", "base_language", "base_languages", "joined_terms"]

MAX_TEXT = 1_000
"""Characters of a prompt, and of all hotwords together, that a server takes."""

CONTEXT = 400
"""Of the prompt, for what was said last: a Whisper model keeps the last 224 tokens in any case."""


@dataclass(frozen=True, slots=True)
class Options:
    """As a user names them; None: the server's default."""

    language: str | None = None
    """Whisper language code; None: detected for each utterance."""
    languages: tuple[str, ...] | None = None
    """Among which is detected."""
    prompt: str | None = field(default=None, repr=False)
    keyterms: tuple[str, ...] = field(default=(), repr=False)
    """The user's own."""
    session_keyterms: tuple[str, ...] = field(default=(), repr=False)
    """Those that the framework keeps."""
    context: str = field(default="", repr=False)
    """What was said last, by whomever."""
    word_timestamps: bool = True
    endpointing: Mapping[str, int | float] = field(default_factory=dict)

    @property
    def whole_prompt(self) -> str | None:
        """The user's prompt, and what was said last."""
        own = _plain(self.prompt or "")[: MAX_TEXT - len(self.context) - 1]
        return " ".join(filter(None, (own, self.context))) or None

    @property
    def hotwords(self) -> str | None:
        """All keyterms, the user's first."""
        return joined_terms((*self.keyterms, *self.session_keyterms)) or None

    def configure(self) -> dict[str, object]:
        """The fields of the command."""
        told: dict[str, object] = {
            "language": self.language,
            "languages": None if self.languages is None else list(self.languages),
            "prompt": self.whole_prompt,
            "hotwords": self.hotwords,
            "word_timestamps": self.word_timestamps,
        }
        if self.endpointing:
            told["endpointing"] = dict(self.endpointing)
        return told

    def changes(self, before: Options) -> dict[str, object]:
        """The fields that have to be said again after ``before``."""
        old = before.configure()
        return {name: value for name, value in self.configure().items() if old.get(name) != value}


def joined_terms(terms: Iterable[str]) -> str:
    """Terms as hotwords: each once, whole ones only, as many as there is room for."""
    text = ""
    for term in dict.fromkeys(" ".join(_plain(term).split()) for term in terms):
        longer = f"{text}, {term}" if text else term
        if term and len(longer) <= MAX_TEXT:
            text = longer
    return text


def base_languages(languages: Iterable[str] | None) -> tuple[str, ...] | None:
    """Tags as Whisper codes; None: any that the model knows."""
    return None if languages is None else tuple(filter(None, map(base_language, languages)))


def base_language(language: str | None) -> str | None:
    """A tag as a Whisper code: ``en-US`` is ``en``; ``multi`` and none mean that it is detected."""
    base = (language or "").replace("_", "-").split("-")[0].lower()
    return None if base in ("", "multi", "und") else base


class Conversation:
    """The last turns of a conversation, as one text that fits into a prompt."""

    def __init__(self) -> None:
        self._turns: deque[str] = deque(maxlen=8)

    def add(self, text: str | None) -> str:
        """Note a turn; gives the text of the last ones, cut between words."""
        if text and text.strip():
            self._turns.append(" ".join(_plain(text[-4 * CONTEXT :]).split()))
        whole = " ".join(self._turns)
        return whole if len(whole) <= CONTEXT else _from_word(whole[-CONTEXT:].split(" "))


def _from_word(words: Sequence[str]) -> str:
    """Without the first, which may be half of one, where there is another."""
    return " ".join(words[1:] or words)


def _plain(text: str) -> str:
    """Without half characters, which no server takes."""
    return "".join(c for c in text if not "\ud800" <= c <= "\udfff")
