"""Whatever a session tells and a client does, in any order that there may be: each word is in one item."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.commands import Finalize
from tests.signaling.dialects.openai.talk import (
    MANUAL,
    Talk,
    final,
    finalized,
    partial,
    started,
    stopped,
    update,
)

DETECTED = {"type": "transcription", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}


class Played:
    """A session as it is: it obeys later, concludes in the order of speech, and answers every finalize.

    Each utterance says one word, and its final puts a full stop behind it.
    """

    def __init__(self) -> None:
        self.talk = Talk()
        self.obeyed = 0  # commands
        self.number = 0
        self.is_open = False
        self.closing: deque[tuple[int, list[str]]] = deque()  # with the ids of what waits for its final
        self.said: list[str] = []

    def speak(self) -> None:
        if not self.is_open:
            self.number += 1
            self.is_open = True
            self.talk.tell(started(self.number, self.number * 1_000))
            self.said.append(f"w{self.number}.")
        else:
            self.talk.tell(partial(self.number, f"w{self.number}"))

    def pause(self) -> None:
        if self.is_open:
            self.is_open = False
            self.talk.tell(stopped(self.number, self.number * 1_000 + 500))
            self.closing.append((self.number, []))

    def decode(self) -> None:
        if self.closing:
            number, waiting = self.closing.popleft()
            self.talk.tell(final(number, f"w{number}."))
            self.talk.tell(*(finalized(name, number) for name in waiting))

    def obey(self) -> None:
        asked = [c for c in self.talk.asked if isinstance(c, Finalize)]
        if self.obeyed < len(asked):
            name = asked[self.obeyed].id
            self.obeyed += 1
            self.pause()
            if self.closing:
                self.closing[-1][1].append(name)
            else:
                self.talk.tell(finalized(name))

    def obey_at_once(self) -> None:
        """The finals are there already: the answer names no utterance."""
        self.pause()
        while self.closing:
            self.decode()
        self.obey()

    def commit(self) -> None:
        self.talk.append()
        self.talk.send("input_audio_buffer.commit")

    def clear(self) -> None:
        self.talk.send("input_audio_buffer.clear")

    def detect(self) -> None:
        update(self.talk, DETECTED)

    def gather(self) -> None:
        update(self.talk, MANUAL)

    def end(self) -> None:
        """Whatever is open comes to its end."""
        self.gather()
        self.commit()
        for _ in range(len(self.talk.asked) + 1):
            self.obey()
        while self.closing:
            self.decode()


STEPS = ("speak", "speak", "speak", "pause", "decode", "obey", "obey_at_once", "commit", "detect", "gather")


def play(steps: list[str]) -> Played:
    played = Played()
    for step in steps:
        getattr(played, step)()
    played.end()
    return played


def told(talk: Talk, kind: str) -> list[str]:
    """Items of which it was told, in this order."""
    return [m["item_id"] for m in talk.said if m["type"].endswith(kind)]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_every_item_has_one_transcript_and_every_word_is_in_one(steps):
    played = play(steps)
    talk = played.talk
    committed = told(talk, "buffer.committed")
    assert len(set(committed)) == len(committed)
    assert sorted(told(talk, "transcription.completed")) == sorted(committed)
    words = [word for item in committed for word in talk.completed(item)[0].split()]
    assert sorted(words) == sorted(played.said)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(STEPS), max_size=40))
def test_deltas_are_the_beginning_of_the_transcript_and_nothing_comes_after_it(steps):
    talk = play(steps).talk
    for item in told(talk, "buffer.committed"):
        [transcript] = talk.completed(item)
        assert talk.deltas(item) == transcript  # here no final takes anything back
        kinds = [m["type"].rpartition(".")[2] for m in talk.said if m.get("item_id") == item]
        assert kinds.index("completed") == len(kinds) - 1
        assert kinds.index("committed") < kinds.index("completed")


@settings(max_examples=300)
@given(st.lists(st.sampled_from((*STEPS, "clear")), max_size=40))
def test_what_is_cleared_is_committed_nowhere_and_nothing_else_is_lost(steps):
    played = play(steps)
    talk = played.talk
    committed = told(talk, "buffer.committed")
    assert sorted(told(talk, "transcription.completed")) == sorted(committed)
    words = [word for item in committed for word in talk.completed(item)[0].split()]
    assert len(set(words)) == len(words)
    assert set(words) <= set(played.said)
    if "clear" not in steps:
        assert sorted(words) == sorted(played.said)
    starts, stops = told(talk, "speech_started"), told(talk, "speech_stopped")
    assert starts == stops


@given(st.lists(st.sampled_from(("speak", "pause", "decode")), max_size=60))
def test_items_of_detected_turns_follow_each_other(steps):
    played = Played()
    for step in steps:
        getattr(played, step)()
    previous = None
    for message in played.talk.said:
        if message["type"] == "input_audio_buffer.committed":
            assert message["previous_item_id"] == previous
            previous = message["item_id"]
