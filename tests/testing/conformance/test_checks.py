"""Every check lets a good record pass, and catches each way in which it can be spoilt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rtc_stt.testing.conformance import (
    CHECKS,
    Case,
    Dropped,
    Eager,
    Ended,
    Failed,
    Final,
    Flushed,
    Partial,
    Record,
    Started,
    Stopped,
    Told,
    Trait,
    complaints,
)
from rtc_stt.testing.conformance.told import Asked, Entry, Finished

Happened = Told | Asked | Finished

GOOD: tuple[Happened, ...] = (
    Started("1"),
    Partial("The quick", 4, "1"),
    Partial("The quick brown", 10, "1"),
    Eager("The quick brown fox.", "1"),
    Asked(),
    Stopped("1"),
    Final("The quick brown fox.", "1"),
    Flushed(),
    Started("2"),
    Stopped("2"),
    Dropped(utterance="2"),
    Started("3"),
    Partial("jumps", 0, "3"),
    Stopped("3"),
    Started("4"),
    Final("Jumps over.", "3"),
    Asked(),
    Asked(),
    Partial("it", 2, "4"),
    Stopped("4"),
    Final("it", "4"),
    Flushed(),
    Flushed(),
    Ended(),
    Finished(),
)
SAID = ("the quick brown fox", "jumps over", "it")


def case(happened: Sequence[Happened], **more: object) -> Case:
    entries = tuple(Entry(float(i), one) for i, one in enumerate(happened))
    plain = Case(Record(entries), frozenset(Trait), SAID, 3, secrets=("key-of-mine",))
    return replace(plain, **more)  # type: ignore[arg-type]


def without(index: int) -> list[Happened]:
    return [*GOOD[:index], *GOOD[index + 1 :]]


def swapped(index: int, *ones: Happened) -> list[Happened]:
    return [*GOOD[:index], *ones, *GOOD[index + 1 :]]


def after(index: int, one: Happened) -> list[Happened]:
    return [*GOOD[: index + 1], one, *GOOD[index + 1 :]]


def test_a_good_record_passes() -> None:
    assert complaints(case(GOOD)) == []


def test_every_check_says_what_it_is_for() -> None:
    assert all(check.__doc__ for check in CHECKS.values())


SPOILT = {
    "alternation": [
        without(0),  # stops, and has not started
        without(5),  # starts again before it stopped
        after(0, Started("1")),
        after(5, Stopped("1")),
        swapped(5, Stopped("2")),  # of another
        without(19),  # never stops
    ],
    "one final": [
        without(6),
        without(10),  # neither final nor drop
        after(6, Final("The quick brown fox.", "1")),
        after(6, Dropped(utterance="1")),
        after(10, Final("", "2")),
        after(6, Partial("The", 0, "1")),  # of what has ended
        after(6, Eager("The", "1")),
        [*GOOD[:6], Final("x", "9"), *GOOD[7:]],
        [*GOOD[:15], *GOOD[16:21], GOOD[15], *GOOD[21:]],  # in another order than they were said
    ],
    "nothing left": [without(20), swapped(20, Stopped("4")), after(20, Partial("and more", 0, "4"))],
    "turns": [without(15), after(15, Final("more", "3"))],
    "words": [
        swapped(6, Final("The quick fox.", "1")),  # one lost
        swapped(6, Final("The quick brown brown fox.", "1")),  # one twice
        swapped(6, Final("The quick green fox.", "1")),
        without(6),
        after(6, Final("The quick brown fox.", "1")),
    ],
    "flushes": [
        without(7),
        without(21),
        after(7, Flushed()),  # twice
        after(21, Flushed()),
        without(4),  # not asked for
        [*GOOD[:5], Flushed(), *GOOD[5:7], *GOOD[8:]],  # before its final
        [*GOOD[:17], Flushed(), *GOOD[17:21], *GOOD[22:]],
    ],
    "stability": [
        swapped(2, Partial("A quick brown", 10, "1")),
        swapped(2, Partial("The quick", 3, "1")),  # less of it is stable
        swapped(2, Partial("The", 10, "1")),  # more stable than there is
        swapped(2, Partial("Tha quick brown", 10, "1")),
    ],
    "eager": [
        swapped(3, Eager("The quick brown fox", "1")),
        swapped(3, Eager("the quick, brown fox.", "1")),
    ],
    "end": [
        without(len(GOOD) - 1),
        after(20, Failed("the connection was lost")),
        [*GOOD, Final("more", "5")],
        [*GOOD, Ended()],
        after(20, Ended()),
        after(23, Partial("", 0, "5")),
    ],
    "secrets": [
        after(20, Failed("cannot reach http://x/?key=key-of-mine")),
        after(7, Partial("key-of-mine", 0, "2")),
    ],
}


@pytest.mark.parametrize(
    ("name", "happened"), [(name, one) for name, several in SPOILT.items() for one in several]
)
def test_a_spoilt_record_is_caught(name: str, happened: list[Happened]) -> None:
    found = [words for words in complaints(case(happened)) if words.startswith(f"{name}: ")]
    assert found


def test_every_check_has_been_spoilt() -> None:
    assert SPOILT.keys() == CHECKS.keys()


@pytest.mark.parametrize(
    ("trait", "happened"),
    [
        (Trait.STARTS, without(19)),
        (Trait.UTTERANCES, after(10, Dropped(utterance="2"))),
        (Trait.FLUSH, without(21)),
        (Trait.FLUSHES, without(21)),  # one answer to two that wait
        (Trait.STABLE, swapped(2, Partial("The quick brown", 3, "1"))),
        (Trait.EAGER_STANDS, swapped(3, Eager("The quick brown fox", "1"))),
    ],
)
def test_what_a_way_does_not_promise_is_not_asked_of_it(trait: Trait, happened: list[Happened]) -> None:
    assert complaints(case(happened))
    assert complaints(case(happened, traits=frozenset(Trait) - {trait})) == []


@pytest.mark.parametrize("happened", [[*GOOD[:21], *GOOD[23:]], after(22, Flushed())])
def test_a_way_that_answers_several_at_once_answers_nevertheless(happened: list[Happened]) -> None:
    assert complaints(case(happened, traits=frozenset(Trait) - {Trait.FLUSHES}))


def test_appended_text_is_never_taken_back_where_that_is_promised() -> None:
    happened = swapped(2, Partial("The quacking", 4, "1"))
    assert [words for words in complaints(case(happened)) if "taken back" in words]
    assert complaints(case(happened, traits=frozenset(Trait) - {Trait.APPEND_ONLY})) == []


def test_text_that_is_taken_back_whole_leaves_nothing() -> None:
    unnamed = frozenset({Trait.PARTIALS, Trait.FLUSH})
    happened = [Partial("hm"), Asked(), Partial(""), Flushed(), Ended(), Finished()]
    assert complaints(case(happened, traits=unnamed, said=(), turns=0)) == []
    without_it = [one for one in happened if one != Partial("")]
    assert len(complaints(case(without_it, traits=unnamed, said=(), turns=0))) == 2


def test_a_bound_of_word_errors_is_the_callers() -> None:
    happened = swapped(6, Final("The quick green fox.", "1"))
    assert complaints(case(happened, max_wer=1 / 7)) == []
    assert complaints(case(happened, max_wer=1 / 8))


def test_nothing_may_come_of_nothing() -> None:
    happened = [Started("1"), Stopped("1"), Final("Thank you.", "1"), Ended(), Finished()]
    assert [words.partition(":")[0] for words in complaints(case(happened, said=(), turns=None))] == ["words"]


def test_no_complaint_tells_a_secret() -> None:
    happened = after(20, Failed("status 401 for key-of-mine"))
    assert "key-of-mine" not in " ".join(complaints(case(happened)))
