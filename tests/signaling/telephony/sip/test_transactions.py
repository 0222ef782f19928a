"""Transactions by themselves: the tables of RFC 3261 §17, with their timers."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from signaling.telephony.sip.client_transactions import ClientTransaction, ClientTransactions
from signaling.telephony.sip.message import Request, Response, read_message, read_request
from signaling.telephony.sip.timers import Timers
from signaling.telephony.sip.transactions import LIFE_S, T2, T4, State, Transaction, Transactions
from signaling.telephony.sip.vocabulary import Flow
from tests.signaling.telephony.sip.world import Peer, message


class Line:
    """A clock, and what was sent when."""

    def __init__(self, transport: str = "udp") -> None:
        self.timers = Timers()
        self.now = 0.0
        self.sent: list[tuple[float, bytes]] = []
        self.told: list[object] = []
        self.flow = Flow(transport, "192.0.2.10", 5060)
        self.theirs = Transactions(self.timers, self.send)
        self.ours = ClientTransactions(self.timers, self.send)

    def send(self, flow: Flow, data: bytes) -> None:
        self.sent.append((self.now, data))

    def open(self, method: str, **of_peer: str) -> Transaction:
        """A request of theirs."""
        request = read_message(Peer(transport=self.flow.transport, **of_peer).request(method))
        assert isinstance(request, Request)
        read_request(request)
        return self.theirs.open(request, self.flow, "dialog")

    def ask(self, method: str) -> ClientTransaction:
        """A request of ours."""
        ours = ClientTransaction("z9hG4bK1", method, self.flow, method.encode(), "dialog", 1)
        self.ours.request(ours, self.now)
        return ours

    def run(self, seconds: float) -> list[float]:
        """Time passes; when something was sent."""
        until, before = self.now + seconds, len(self.sent)
        while (due := self.timers.next()) is not None and due <= until:
            self.now = due
            kind, name = self.timers.pop(due)
            if kind == "repeat":
                self.theirs.handle_repeat(name, due)
            elif kind == "end":
                self.told.append(self.theirs.handle_end(name))
            elif kind == "our repeat":
                self.ours.handle_repeat(name, due)
            else:
                self.told.append(self.ours.handle_end(name))
        self.now = until
        return [at for at, _ in self.sent[before:]]


REPEATS = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
"""T1, doubled up to T2."""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_200_is_repeated_whatever_carries_it_and_its_lack_of_an_ack_told(transport):
    line = Line(transport)
    invite = line.open("INVITE")
    line.theirs.answer(invite, 100, b"100", line.now)
    line.theirs.answer(invite, 200, b"200", line.now)
    assert line.run(LIFE_S) == REPEATS
    assert line.told == [invite]
    assert len(line.theirs) == len(line.timers) == 0


@pytest.mark.parametrize(("transport", "repeats", "life"), [("udp", REPEATS, LIFE_S), ("tcp", [], T4)])
def test_a_refusal_is_repeated_over_udp_and_its_lack_of_an_ack_forgotten(transport, repeats, life):
    line = Line(transport)
    invite = line.open("INVITE")
    line.theirs.answer(invite, 486, b"486", line.now)
    assert line.run(life - 0.001) == [at for at in repeats if at < life]
    assert len(line.theirs) == 1
    line.run(0.001)
    assert (line.told, len(line.theirs), len(line.timers)) == ([None], 0, 0)


@pytest.mark.parametrize(("code", "life"), [(200, LIFE_S), (486, 3.0 + T4)])
def test_an_ack_ends_the_repeating(code, life):
    line = Line()
    invite = line.open("INVITE")
    line.theirs.answer(invite, code, b"x", line.now)
    line.run(3.0)
    line.theirs.acknowledge(invite, line.now)
    line.theirs.acknowledge(invite, line.now)
    line.theirs.receive_again(invite, line.now)
    assert line.run(life - 3.0 - 0.001) == []
    assert invite.state is State.CONFIRMED
    line.run(0.001)
    assert (line.told, len(line.theirs)) == ([None], 0)


def test_what_comes_again_is_answered_as_before():
    line = Line()
    invite, info = line.open("INVITE"), line.open("INFO")
    for transaction in (invite, info):
        line.theirs.receive_again(transaction, line.now)
    assert line.sent == [], "there is no answer yet"
    line.theirs.answer(invite, 180, b"180", line.now)
    line.theirs.answer(info, 200, b"200", line.now)
    line.theirs.answer(info, 500, b"500", line.now)
    for transaction in (invite, info):
        line.theirs.receive_again(transaction, line.now)
    assert [data for _, data in line.sent] == [b"180", b"200", b"180", b"200"]


@pytest.mark.parametrize(("transport", "life"), [("udp", LIFE_S), ("tcp", 0.0)])
def test_other_requests_are_remembered_as_long_as_they_may_come_again(transport, life):
    line = Line(transport)
    line.theirs.answer(line.open("BYE"), 200, b"200", line.now)
    assert line.run(life) == []
    assert len(line.theirs) == 0


@pytest.mark.parametrize(
    "changes", [{"call_id": "x"}, {"address": "192.0.2.11"}, {"port": 5061}, {"branches": 7}, {"cseq": 7}]
)
def test_what_tells_transactions_apart(changes):
    line = Line()
    opened = line.open("INVITE")
    assert line.theirs.find(opened.request, line.flow) is opened
    other = Line().open("INVITE", **changes).request
    flow = Flow("udp", changes.get("address", line.flow.address), 5060)
    assert line.theirs.find(other, flow) is None
    assert line.theirs.find(opened.request, Flow("udp", line.flow.address, 1)) is opened, "behind a NAT"


@pytest.mark.parametrize(
    ("method", "repeats"),
    [("BYE", REPEATS), ("INVITE", [0.5, 1.5, 3.5, 7.5, 15.5, 31.5])],
)
def test_a_request_of_ours_is_repeated_until_it_is_given_up(method, repeats):
    line = Line()
    ours = line.ask(method)
    assert line.run(LIFE_S) == repeats
    assert line.told == [ours]
    assert (len(line.ours), len(line.timers)) == (0, 0)


def response(code: int, method: str = "BYE") -> Response:
    text = f"SIP/2.0 {code} x\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\nCSeq: 1 {method}"
    read = read_message(message(text))
    assert isinstance(read, Response)
    return read


def test_a_provisional_answer_slows_a_bye_and_silences_an_invite():
    line = Line()
    ours = line.ask("BYE")
    line.run(0.1)
    assert not line.ours.receive(ours, 100, line.now)
    assert line.run(20) == [0.5, 0.5 + T2, 0.5 + 2 * T2, 0.5 + 3 * T2, 0.5 + 4 * T2]
    line = Line()
    ours = line.ask("INVITE")
    assert not line.ours.receive(ours, 100, line.now)
    assert line.run(LIFE_S) == []
    assert line.told == [ours], "but it has no more time"


def test_an_answer_is_told_once_and_acknowledged_each_time():
    line = Line()
    ours = line.ask("INVITE")
    assert line.ours.find(response(200)) is None, "of another method"
    assert line.ours.find(response(200, "INVITE")) is ours
    assert line.ours.receive(ours, 200, line.now)
    line.ours.acknowledge(ours, b"ACK")
    assert not line.ours.receive(ours, 200, line.now)
    assert not line.ours.receive(ours, 180, line.now)
    assert [data for _, data in line.sent] == [b"INVITE", b"ACK", b"ACK"]
    assert line.ours.is_idle
    assert line.run(LIFE_S) == []
    assert (line.told, len(line.ours)) == ([None], 0)


def test_nothing_is_repeated_over_tcp_but_given_up_as_soon():
    line = Line("tcp")
    ours = line.ask("BYE")
    assert line.run(LIFE_S) == []
    assert line.told == [ours]


def test_what_is_forgotten_is_not_repeated():
    line = Line()
    line.ask("UPDATE")
    line.ours.forget("z9hG4bK1")
    line.ours.forget("z9hG4bK1")
    assert line.run(100) == []
    assert len(line.timers) == 0


@given(
    st.sampled_from(["udp", "tcp"]),
    st.sampled_from(["INVITE", "INFO"]),
    st.lists(
        st.tuples(st.sampled_from([100, 180, 200, 302, 486, "ack", "again"]), st.floats(0, 3)), max_size=12
    ),
)
@example("tcp", "INVITE", [(302, 2.0), (100, 3.0), ("ack", 0.0)])
def test_nothing_outlives_its_answer_by_more_than_its_timers(transport, method, steps):
    line = Line(transport)
    opened = line.open(method)
    answered = None
    for step, pause in steps:
        if step == "ack":
            line.theirs.acknowledge(opened, line.now)
        elif step == "again":
            line.theirs.receive_again(opened, line.now)
        elif method == "INVITE" or step >= 200:
            line.theirs.answer(opened, step, b"x", line.now)
            answered = line.now if answered is None and step >= 200 else answered
        line.run(pause)
    if answered is None:
        assert (len(line.theirs), len(line.timers)) == (1, 0), "it waits for us"
    else:
        line.run(LIFE_S + T4 + sum(pause for _, pause in steps))
        assert (len(line.theirs), len(line.timers)) == (0, 0)
