"""Which frames follow from which events: the table of the module, line by line, and what holds of all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.events import Event, TranscriptFinal
from rtc_stt.plugins.pipecat.mapping import (
    BLANK,
    Act,
    Committed,
    Eager,
    EagerIsVoid,
    Interim,
    Mapping,
    TurnBegins,
    TurnEnds,
)
from rtc_stt.plugins.texts import same_words
from tests.plugins.pipecat.told import (
    conversations,
    dropped,
    eager,
    final,
    finalized,
    partial,
    resumed,
    session,
    start,
    stop,
)


def run(mapping: Mapping, *events: Event) -> list[Act]:
    return [act for event in events for act in mapping.tell(event)]


def brief(acts: list[Act]) -> list[tuple[object, ...]]:
    """Without the events behind them."""
    told: list[tuple[object, ...]] = []
    for act in acts:
        match act:
            case Interim() | Eager():
                told.append((type(act), act.text))
            case Committed():
                told.append((Committed, act.text, act.finalized))
            case _:
                told.append((type(act),))
    return told


def the_server_decides() -> Mapping:
    return Mapping(server_turns=True)


def pipecat_decides() -> Mapping:
    return Mapping(server_turns=False)


# ── The server decides ──


def test_a_turn_ends_right_after_its_final() -> None:
    acts = run(the_server_decides(), session(), start(1), partial(1, "Book"), stop(1), final(1, "Book it."))
    assert brief(acts) == [(TurnBegins,), (Interim, "Book"), (Committed, "Book it.", True), (TurnEnds,)]


def test_an_eager_text_is_told_and_settled_by_its_final_to_the_letter() -> None:
    acts = run(the_server_decides(), start(1), eager(1, "book it"), stop(1), final(1, "Book it."))
    assert brief(acts[1:3]) == [(Eager, "book it"), (Committed, "book it", True)]
    assert isinstance(acts[2], Committed)
    assert acts[2].settles_eager
    assert isinstance(acts[2].event, TranscriptFinal)
    assert acts[2].event.text == "Book it."


def test_other_words_replace_the_eager_ones() -> None:
    acts = run(the_server_decides(), start(1), eager(1, "look it"), stop(1), final(1, "Book it."))
    assert brief(acts[2:]) == [(Committed, "Book it.", True), (TurnEnds,)]


def test_speech_that_goes_on_voids_the_eager_text() -> None:
    mapping = the_server_decides()
    acts = run(mapping, start(1), eager(1, "Book it."), resumed(1), partial(1, "Book it now"))
    assert brief(acts[2:]) == [(EagerIsVoid,), (Interim, "Book it now")]
    settled = run(mapping, stop(1), final(1, "Book it."))[0]
    assert isinstance(settled, Committed)
    assert not settled.settles_eager


def test_speech_before_the_final_goes_on_with_the_turn() -> None:
    acts = run(
        the_server_decides(),
        start(1), eager(1, "One."), stop(1), start(2), final(1, "One."), partial(2, "Tw"), stop(2),
        final(2, "Two."),
    )  # fmt: skip
    assert brief(acts) == [
        (TurnBegins,), (Eager, "One."), (EagerIsVoid,), (Committed, "One.", False),
        (Interim, "Tw"), (Committed, "Two.", True), (TurnEnds,),
    ]  # fmt: skip


def test_no_eager_end_where_an_earlier_final_is_still_due() -> None:
    acts = run(the_server_decides(), start(1), stop(1), start(2), eager(2, "Two."))
    assert brief(acts) == [(TurnBegins,)]


@pytest.mark.parametrize("told", [[dropped(1)], [final(1, "")], [partial(1, "Thanks"), dropped(1)]])
def test_a_turn_without_words_ends_with_a_blank_answer(told: list[Event]) -> None:
    acts = run(the_server_decides(), start(1), *told)
    assert brief(acts[-2:]) == [(Committed, BLANK, True), (TurnEnds,)]


def test_a_drop_voids_the_eager_text() -> None:
    acts = run(the_server_decides(), start(1), eager(1, "Thank you."), dropped(1))
    assert brief(acts[2:]) == [(EagerIsVoid,), (Committed, BLANK, True), (TurnEnds,)]


def test_a_new_session_tells_again_what_was_open() -> None:
    acts = run(
        the_server_decides(),
        session(), start(1), partial(1, "Book a ta"), eager(1, "Book a"), session("two"),
        start(1), partial(1, "Book"), final(1, "Book a table."),
    )  # fmt: skip
    assert brief(acts) == [
        (TurnBegins,), (Interim, "Book a ta"), (Eager, "Book a"), (EagerIsVoid,),
        (Interim, "Book"), (Committed, "Book a table.", True), (TurnEnds,),
    ]  # fmt: skip


def test_without_a_session_the_turn_ends_with_what_had_been_understood() -> None:
    mapping = the_server_decides()
    run(mapping, start(1), partial(1, "Book a ta"))
    assert brief(mapping.abandon()) == [(Committed, "Book a ta", True), (TurnEnds,)]
    assert mapping.abandon() == []


def test_or_with_nothing_where_not_even_that_is_known_any_more() -> None:
    mapping = the_server_decides()
    run(mapping, start(1), partial(1, "Book a ta"), session("two"))
    assert brief(mapping.abandon()) == [(Committed, BLANK, True), (TurnEnds,)]


def test_finalized_is_nothing_to_a_server_that_decides() -> None:
    assert run(the_server_decides(), finalized()) == []


def test_an_interim_that_says_nothing_new_is_left_out() -> None:
    acts = run(
        pipecat_decides(), start(1), partial(1, "Book"), partial(1, "Book"), partial(1, ""), partial(1, "A")
    )
    assert brief(acts) == [(Interim, "Book"), (Interim, "A")]


# ── Pipecat decides ──


def test_the_answer_to_a_request_is_finalized() -> None:
    mapping = pipecat_decides()
    assert brief(run(mapping, start(1), partial(1, "Book"))) == [(Interim, "Book")]
    mapping.ask()
    assert brief(run(mapping, stop(1), final(1, "Book it."), finalized(1))) == [(Committed, "Book it.", True)]


def test_a_final_of_the_servers_own_is_not() -> None:
    assert brief(run(pipecat_decides(), start(1), final(1, "Book it."))) == [(Committed, "Book it.", False)]


@pytest.mark.parametrize("before", [[], [start(1), final(1, "Book it.")], [start(1), dropped(1)]])
def test_a_request_with_nothing_open_has_a_blank_answer(before: list[Event]) -> None:
    mapping = pipecat_decides()
    run(mapping, *before)
    mapping.ask()
    assert brief(run(mapping, finalized())) == [(Committed, BLANK, True)]
    assert run(mapping, finalized()) == []


def test_an_older_utterance_does_not_answer() -> None:
    mapping = pipecat_decides()
    run(mapping, start(1), stop(1), start(2))
    mapping.ask()
    acts = run(mapping, final(1, "One."), stop(2), final(2, "Two."), finalized(2))
    assert brief(acts) == [(Committed, "One.", False), (Committed, "Two.", True)]


def test_speech_that_begins_anew_wants_no_answer() -> None:
    mapping = pipecat_decides()
    mapping.ask()
    mapping.forgo()
    assert run(mapping, finalized()) == []
    mapping.ask()
    assert brief(run(mapping, finalized())) == [(Committed, BLANK, True)]


def test_the_answer_to_the_last_request_counts() -> None:
    mapping = pipecat_decides()
    mapping.ask()
    mapping.forgo()
    mapping.ask()
    assert run(mapping, finalized()) == []  # of the first
    assert brief(run(mapping, start(1), final(1, "Two."), finalized(1))) == [(Committed, "Two.", True)]


def test_where_there_is_no_session_any_more_what_is_owed_is_answered() -> None:
    mapping = pipecat_decides()
    run(mapping, start(1), partial(1, "Book a ta"))
    mapping.ask()
    assert brief(mapping.abandon()) == [(Committed, "Book a ta", False), (Committed, BLANK, True)]
    assert mapping.abandon() == []


def test_the_request_stands_in_the_session_after_a_lost_one() -> None:
    mapping = pipecat_decides()
    run(mapping, session(), start(1), partial(1, "Book a ta"))
    mapping.ask()
    acts = run(mapping, session("two"), start(1), final(1, "Book a table."), finalized(1))
    assert brief(acts) == [(Committed, "Book a table.", True)]


# ── Words ──


# ── What holds of all ──


@given(conversations())
def test_turns_alternate_and_every_word_is_told_once(events: list[Event]) -> None:
    acts = run(the_server_decides(), *events)
    turns = [type(act) for act in acts if isinstance(act, TurnBegins | TurnEnds)]
    assert turns == [TurnBegins, TurnEnds] * (len(turns) // 2)
    for i, act in enumerate(acts):
        if isinstance(act, TurnEnds):
            before = acts[i - 1]
            assert isinstance(before, Committed)
            assert before.finalized
    said = [event.text for event in events if isinstance(event, TranscriptFinal) and event.text]
    told = [act.text for act in acts if isinstance(act, Committed) and act.text != BLANK]
    assert len(said) == len(told)
    assert all(map(same_words, said, told))


@given(conversations())
def test_every_eager_text_is_settled_or_void_before_the_next(events: list[Event]) -> None:
    pending = False
    for act in run(the_server_decides(), *events):
        match act:
            case Eager():
                pending = True
            case EagerIsVoid():
                assert pending
                pending = False
            case Committed(settles_eager=True):
                assert pending
                pending = False
    assert not pending


@given(conversations(), st.data())
def test_every_request_is_answered_once_unless_speech_begins_anew(
    events: list[Event], data: st.DataObject
) -> None:
    mapping = pipecat_decides()
    answers, wanted = 0, 0
    for event in events:
        answers += sum(isinstance(a, Committed) and a.finalized for a in mapping.tell(event))
        if data.draw(st.integers(0, 4)) == 0:
            mapping.ask()
            wanted += 1
            answers += sum(isinstance(a, Committed) and a.finalized for a in mapping.tell(finalized()))
            assert answers == wanted
    assert not any(isinstance(a, TurnBegins | TurnEnds | Eager | EagerIsVoid) for a in run(mapping, *events))
