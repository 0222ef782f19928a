"""Which words of a growing transcript will not change any more?

LocalAgreement-2 (Liu, Spanakis, Niehues 2020, "Low-latency sequence-to-sequence speech recognition and
translation by partial hypothesis selection"): what two hypotheses in a row agree on is stable. The rest is
ours:

* What is stable is shown as it first became stable, whatever later hypotheses think of it.
* The last word of a hypothesis is never stable, for its audio may be cut off in the middle. It is not even
  shown until two hypotheses in a row end in it, unless it is all there is: such a word is wrong more often
  than not, and words that come and go are worse to read than words that come a moment later.
* In a long utterance the words before a point are committed: later hypotheses begin after it. What was stable
  and lies behind the point stays stable, and is looked for at their beginning.
* No mark that ends a sentence is shown at the moving end: it says that the audio ended, not the sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Stabilizer", "StableText", "join_texts", "normalise_word", "split_words"]

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, kana and Han: written without spaces, so each character is a unit."""

_WORD = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")
SENTENCE_MARKS = ".,!?…。、！？"

_EDGES = re.compile(r"^[\W_]+|[\W_]+$")


def split_words(text: str) -> list[str]:
    """Units of agreement, with the white space before them: ``"".join(split_words(t)) == t.rstrip()``."""
    return _WORD.findall(text)


def normalise_word(word: str) -> str:
    """The word less case, surrounding punctuation and compatibility forms: two that sound alike agree."""
    folded = unicodedata.normalize("NFKC", word).strip().casefold()
    return _EDGES.sub("", folded) or folded


def join_texts(texts: Iterable[str]) -> str:
    """Texts that follow each other as one, with a space between them where their scripts have spaces."""
    joined = ""
    for text in map(str.strip, texts):
        space = "" if not (joined and text) or _joins(joined[-1], text[0]) else " "
        joined += space + text
    return unicodedata.normalize("NFC", joined)


@dataclass(frozen=True, slots=True)
class StableText:
    """A transcript of which the first ``stable_chars`` characters will stand."""

    text: str
    stable_chars: int


class Stabilizer:
    """LocalAgreement-2 over the hypotheses of one utterance."""

    def __init__(self) -> None:
        self._committed = ""  # as shown; no hypothesis covers it any more
        self._stable: list[str] = []  # words as shown
        self._tail: list[str] = []  # of the previous hypothesis, after the stable words

    @property
    def words(self) -> list[str]:
        """What is said after the last commit as far as is known: stable words as shown, then the others."""
        return [*self._stable, *self._tail]

    @property
    def stable_words(self) -> int:
        """How many of ``words`` are stable."""
        return len(self._stable)

    def commit(self, count: int) -> str:
        """Later hypotheses begin after the first ``count`` of ``words``; gives the text of these.

        They stand from now on as they are, for no hypothesis will tell of them again.
        """
        words, stable = self.words, max(0, len(self._stable) - count)
        text = "".join(words[:count])
        self._committed += text
        self._stable, self._tail = words[count : count + stable], words[count + stable :]
        return text

    def update(self, hypothesis: str) -> StableText:
        """Take the next hypothesis for all audio after the last commit and say what to show."""
        words = split_words(unicodedata.normalize("NFC", hypothesis).strip())
        tail = self._apart(words[self._covered(words) :])
        agreed = 0
        for before, now in zip(self._tail, tail[:-1], strict=False):
            if normalise_word(before) != normalise_word(now):
                break
            agreed += 1
        last_is_confirmed = _end_alike(self._tail, tail)
        self._stable += tail[:agreed]
        self._tail = tail[agreed:]
        shown = self._tail
        if not last_is_confirmed and (self._committed or self._stable or len(shown) > 1):
            shown = shown[:-1]
        return self._show("".join(shown).rstrip(SENTENCE_MARKS))

    def _show(self, rest: str) -> StableText:
        stable = self._committed + "".join(self._stable)
        return StableText(stable + rest, len(stable))

    def _apart(self, tail: list[str]) -> list[str]:
        """The tail, after white space where it would else run into the stable words or change them."""
        stable = self._committed + "".join(self._stable)
        if not stable or not tail or tail[0][0].isspace():
            return tail
        whole = unicodedata.normalize("NFC", stable + tail[0])
        if _joins(stable[-1], tail[0][0]) and whole.startswith(stable):
            return tail
        return [" " + tail[0], *tail[1:]]

    def _covered(self, words: list[str]) -> int:
        """How many words of a new hypothesis tell again what is stable: the prefix nearest to it."""
        stable = [normalise_word(w) for w in self._stable]
        new = [normalise_word(w) for w in words]
        if new[: len(stable)] == stable:
            return len(stable)
        # Levenshtein, one row per new word; the last cell of row k is the distance of the first k words.
        row = list(range(len(stable) + 1))
        best = (row[-1], len(stable), 0)
        for k, word in enumerate(new, 1):
            diagonal, row[0] = row[0], k
            for j, other in enumerate(stable, 1):
                cost = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
                diagonal, row[j] = row[j], cost
            best = min(best, (row[-1], abs(k - len(stable)), k))
        return best[2]


def _end_alike(before: list[str], now: list[str]) -> bool:
    """Whether the hypothesis before had the last word of this one in the same place."""
    place = len(now) - 1
    return 0 <= place < len(before) and normalise_word(before[place]) == normalise_word(now[place])


def _joins(left: str, right: str) -> bool:
    return bool(re.match(f"[{_UNSPACED}]", left) or re.match(f"[{_UNSPACED}]", right))
