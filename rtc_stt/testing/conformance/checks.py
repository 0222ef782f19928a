"""What has to be true of every record of a conversation. Pure; each check gives its complaints.

A check asks only what the traits of the way promise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rtc_stt.bench.words import edits, normalise
from rtc_stt.testing.conformance.told import (
    Asked,
    Dropped,
    Eager,
    Ended,
    Failed,
    Final,
    Finished,
    Flushed,
    Partial,
    Record,
    Started,
    Stopped,
)
from rtc_stt.testing.conformance.way import Trait

__all__ = ["CHECKS", "Case", "Check", "complaints", "scrub"]


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation that was held, and what was to be expected of it."""

    record: Record
    traits: frozenset[Trait]
    said: tuple[str, ...] = ()
    """The sentences, in order."""
    turns: int | None = None
    """How many finals with words there must be; None: any number."""
    max_wer: float = 0.0
    """Word errors that are let pass, as a share of the words said."""
    secrets: tuple[str, ...] = ()
    cuts: int = 0
    """Words that may be wrong besides."""


Check = Callable[[Case], Iterator[str]]


def _alternation(case: Case) -> Iterator[str]:
    """Starts and stops alternate, and what started has stopped."""
    if Trait.STARTS not in case.traits:
        return
    open_: Started | None = None
    for one in case.record.told:
        if isinstance(one, Started):
            if open_:
                yield f"speech starts{_of(one)} before it stopped{_of(open_)}"
            open_ = one
        elif isinstance(one, Stopped):
            if open_ is None:
                yield f"speech stops{_of(one)} that has not started"
            elif open_.utterance != one.utterance:
                yield f"speech stops{_of(one)}, but it started{_of(open_)}"
            open_ = None
    if open_:
        yield f"speech that started{_of(open_)} never stops"


def _one_final(case: Case) -> Iterator[str]:
    """Each utterance is concluded once, by a final or a drop, in the order of speech, and then over."""
    if Trait.UTTERANCES not in case.traits:
        return
    begun: list[str] = []
    concluded: list[str] = []
    for one in case.record.told:
        if isinstance(one, Started | Partial | Eager | Stopped):
            if one.utterance in concluded and not isinstance(one, Stopped):
                yield f"{type(one).__name__.lower()}{_of(one)} after its end"
            elif one.utterance not in begun:
                begun.append(one.utterance)
        elif isinstance(one, Final | Dropped):
            if one.utterance in concluded:
                yield f"a second end{_of(one)}"
            concluded.append(one.utterance)
    for utterance in begun:
        if utterance not in concluded:
            yield f"no final of utterance {utterance}"
    known = [utterance for utterance in dict.fromkeys(concluded) if utterance in begun]
    if known != [utterance for utterance in begun if utterance in known]:
        yield f"finals come in the order {', '.join(known)}, speech came as {', '.join(begun)}"


def _nothing_left(case: Case) -> Iterator[str]:
    """Words that were shown become final or are taken back."""
    shown = ""
    for one in case.record.told:
        if isinstance(one, Partial | Eager):
            shown = one.text.strip()
        elif isinstance(one, Final | Dropped):
            shown = ""
    if shown:
        yield f"what was shown last has no final: {shown!r}"


def _turns(case: Case) -> Iterator[str]:
    """One final for each turn."""
    if Trait.TURNS not in case.traits:
        return
    count = len(case.record.finals)
    if case.turns is not None and count != case.turns:
        yield f"{count} finals with words for {case.turns} turns: {[f.text for f in case.record.finals]}"


def _words(case: Case) -> Iterator[str]:
    """What became final is what was said: no word lost, none twice."""
    said, heard = " ".join(case.said), case.record.text
    found = edits(said, heard)
    if found.errors > case.max_wer * found.words + case.cuts:
        yield (
            f"of {found.words} words {found.lost} are lost, {found.added} added, {found.changed} changed:\n"
            f"      said  {said!r}\n      heard {heard!r}"
        )


def _flushes(case: Case) -> Iterator[str]:
    """Each flush is answered once, and not before all that was heard before it has its final.

    Of a way that does not promise ``FLUSHES`` one answer is enough for all that wait for theirs.
    """
    if Trait.FLUSH not in case.traits:
        return
    each = Trait.FLUSHES in case.traits
    open_: set[str] = set()
    waiting: deque[set[str]] = deque()
    asked = answered = 0
    for entry in case.record.entries:
        one = entry.what
        if isinstance(one, Asked):
            asked += 1
            waiting.append(set(open_))
        elif isinstance(one, Final | Dropped) or (isinstance(one, Partial) and not one.text.strip()):
            open_.discard(one.utterance)
            for before in waiting:
                before.discard(one.utterance)
        elif isinstance(one, Partial) or (isinstance(one, Started) and Trait.UTTERANCES in case.traits):
            open_.add(one.utterance)
        elif isinstance(one, Flushed):
            answered += 1
            if answered > asked:
                yield f"answer {answered} to {asked} flushes"
            elif waiting and (left := waiting.popleft()):
                yield f"flush {answered} is answered before what was heard has its final ({sorted(left)})"
            if not each:
                waiting.clear()
    if waiting:
        yield f"{asked} flushes, {answered} answers"


def _stability(case: Case) -> Iterator[str]:
    """What is declared to stand stands, until the final of its utterance."""
    before: dict[str, Partial] = {}
    for one in case.record.told:
        if isinstance(one, Final | Dropped):
            before.pop(one.utterance, None)
        if not isinstance(one, Partial):
            continue
        last = before.get(one.utterance, Partial(""))
        before[one.utterance] = one
        if Trait.APPEND_ONLY in case.traits and not one.text.startswith(last.text):
            yield f"appended text was taken back: {last.text!r}, then {one.text!r}"
        if Trait.STABLE not in case.traits:
            continue
        stable = last.text[: last.stable_chars]
        if one.stable_chars > len(one.text):
            yield f"{one.stable_chars} stable characters of {one.text!r}"
        if one.stable_chars < last.stable_chars or not one.text.startswith(stable):
            yield f"stable text changed: {stable!r}, then {one.text[: one.stable_chars]!r} of {one.text!r}"


def _eager(case: Case) -> Iterator[str]:
    """Whoever began to answer the eager text need not begin again where the words are the same."""
    if Trait.EAGER_STANDS not in case.traits:
        return
    eager: dict[str, str] = {}
    for one in case.record.told:
        if isinstance(one, Eager):
            eager[one.utterance] = one.text
        elif isinstance(one, Final):
            text = eager.pop(one.utterance, one.text)
            if text != one.text and normalise(text) == normalise(one.text):
                yield f"the final {one.text!r} has the words of the eager text {text!r}, but not its letters"


def _end(case: Case) -> Iterator[str]:
    """It comes to an end, to one, and not by failing."""
    ended = finished = False
    for entry in case.record.entries:
        one = entry.what
        if isinstance(one, Failed):
            yield f"it failed: {one.reason}"
        if isinstance(one, Finished):
            finished = True
        elif finished or ended:
            yield f"{type(one).__name__.lower()} is told after the end"
        ended = ended or isinstance(one, Ended)
    if not finished:
        yield "it does not come to an end"


def _secrets(case: Case) -> Iterator[str]:
    """No key is in anything that is told."""
    for one in case.record.told:
        if any(secret in repr(one) for secret in case.secrets):
            yield f"a secret is in {type(one).__name__.lower()}"


CHECKS: Mapping[str, Check] = {
    "alternation": _alternation,
    "one final": _one_final,
    "nothing left": _nothing_left,
    "turns": _turns,
    "words": _words,
    "flushes": _flushes,
    "stability": _stability,
    "eager": _eager,
    "end": _end,
    "secrets": _secrets,
}
"""By name."""


def complaints(case: Case) -> list[str]:
    """Of all checks, each with the name of its check before it; empty where everything is as it has to be."""
    found = [f"{name}: {words}" for name, check in CHECKS.items() for words in check(case)]
    return [scrub(words, case.secrets) for words in found]


def scrub(words: str, secrets: Iterable[str]) -> str:
    """The same without the secrets."""
    for secret in secrets:
        words = words.replace(secret, "***")
    return words


def _of(one: Started | Stopped | Partial | Eager | Final | Dropped) -> str:
    return f" (utterance {one.utterance})" if one.utterance else ""
