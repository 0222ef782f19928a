"""Whatever is said, in whatever order: each call ends once, nothing outlives its time, nothing is raised."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.telephony.settings import Sip
from signaling.telephony.sip.dialogs import MAX_HALF_OPEN
from signaling.telephony.sip.transactions import LIFE_S, MAX_TRANSACTIONS
from signaling.telephony.sip.vocabulary import Ended, Invited, Send
from tests.signaling.telephony.sip.invites import INVITES, spoiled
from tests.signaling.telephony.sip.test_user_agent import answer
from tests.signaling.telephony.sip.world import OFFER, Peer, World

EVERYBODY = Sip(sip_allow=("0.0.0.0/0", "::/0"), sip_session_expires=90)
ACTS = (
    "invite", "invite", "again", "cancel", "ack", "ack", "bye", "update", "offer", "reinvite", "info",
    "options", "accept", "accept", "accept", "reject", "hang_up", "lost", "answer", "wait", "wait",
    "spoiled", "unlike",
)  # fmt: skip
HEADERS = ("Supported: timer", "Session-Expires: 90;refresher=uas", "Allow: UPDATE", "Require: timer", "X: y")


class Anybody:
    """Says anything, at any time."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.world = World(EVERYBODY)
        self.peers = [Peer(transport=t, call_id=f"c{n}") for n, t in enumerate(["udp", "tcp", "udp"])]
        self.said = {peer.call_id: b"" for peer in self.peers}

    def dialogs(self) -> list[str]:
        """All that there were."""
        return [e.dialog for _, e in self.world.told if isinstance(e, Invited)]

    def act(self, act: str) -> None:
        """Do one thing."""
        draw, world = self.draw, self.world
        peer = draw.choice(self.peers)
        headers = draw.sample(HEADERS, draw.randrange(3))
        dialog = draw.choice([*self.dialogs()[-3:], "none"])
        match act:
            case "invite":
                peer.our_tag, peer.tag = "", f"t{draw.randrange(100)}"
                self.say(peer, peer.request("INVITE", *headers, body=draw.choice([OFFER, b""])))
            case "again":
                self.say(peer, self.said[peer.call_id])
            case "cancel" | "ack":
                branch = (
                    f"z9hG4bK-{peer.call_id}-{draw.randint(max(1, peer.branches - 1), peer.branches + 1)}"
                )
                body = draw.choice([b"", OFFER])
                method, cseq = act.upper(), max(1, peer.cseq - draw.randrange(2))
                world.hear(peer, peer.request(method, body=body, cseq=cseq, branch=branch))
            case "bye" | "options" | "update" | "info":
                self.say(peer, peer.request(act.upper(), *headers))
            case "offer" | "reinvite":
                method = "UPDATE" if act == "offer" else "INVITE"
                self.say(peer, peer.request(method, *headers, body=draw.choice([OFFER, b""])))
            case "accept":
                world.note(world.agent.accept(dialog, OFFER, world.now))
                peer.our_tag = dialog if draw.random() < 0.8 else peer.our_tag
            case "reject":
                world.note(world.agent.reject(dialog, 486, "Busy Here", world.now))
            case "hang_up":
                world.note(world.agent.hang_up(dialog, "closed", world.now))
            case "lost":
                world.note(world.agent.connection_lost(peer.flow, world.now))
            case "answer":
                if asked := [d for d in world.sent() if not d.startswith((b"SIP/", b"ACK", b"\r\n"))]:
                    code = draw.choice([100, 200, 200, 408, 422, 481, 491, 603])
                    world.hear(peer, answer(asked[-1], code, "Min-SE: 100", *headers, body=OFFER))
            case "wait":
                world.run(draw.choice([0.1, 0.6, 5, 33, 50]))
            case "spoiled":
                world.hear(Peer(), spoiled(draw.randrange(10_000)))
            case "unlike":
                world.hear(peer, bytes(draw.randrange(256) for _ in range(draw.randrange(60))))

    def say(self, peer: Peer, data: bytes) -> None:
        """It may come again."""
        self.said[peer.call_id] = data
        self.world.hear(peer, data)


def check_all_is_over(world: World) -> None:
    """Some time later nothing is left of anything."""
    for _ in range(6):
        world.run(4 * LIFE_S)
    invited = [e.dialog for _, e in world.told if isinstance(e, Invited)]
    ended = [e.dialog for _, e in world.told if isinstance(e, Ended)]
    assert sorted(ended) == sorted(invited)
    assert len(set(ended)) == len(ended)
    desk = world.agent._desk
    assert (len(desk.theirs), len(desk.ours), len(world.agent._dialogs)) == (0, 0, 0)
    assert desk.theirs._begun == {}
    assert world.agent._dialogs._half_open == 0


@given(st.integers(0, 2**32), st.lists(st.sampled_from(ACTS), max_size=60))
@settings(max_examples=150)
def test_every_call_ends_once_and_nothing_is_left(seed, acts):
    anybody = Anybody(seed)
    for act in acts:
        anybody.act(act)
    check_all_is_over(anybody.world)


@pytest.mark.parametrize("seed", range(10))
def test_long_conversations_too(seed):
    anybody = Anybody(seed)
    for _ in range(400):
        anybody.act(anybody.draw.choice(ACTS))
    check_all_is_over(anybody.world)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_no_transaction_outlives_its_timers(transport):
    world, peer = World(EVERYBODY), Peer(transport=transport)
    dialog = world.call(peer)
    for method in ("INFO", "OPTIONS", "UPDATE", "BYE"):
        world.hear(peer, peer.request(method))
    peer = Peer(transport=transport, call_id="refused")
    world.note(world.agent.reject(world.ring(peer), 486, "Busy Here", world.now))
    world.run(LIFE_S + 0.01)
    assert len(world.agent._desk.theirs) == 0
    assert (dialog, "hangup") in world.ends()


def test_spoiled_invites_are_answered_or_dropped_and_all_calls_end():
    world, invited = World(EVERYBODY), 0
    for seed in range(1_500):
        # Of each INVITE there are many with the same ids.
        data = spoiled(seed).replace(b"z9hG4bK", b"z9hG4bK%d" % seed).replace(b";tag=", b";tag=%d" % seed)
        effects = world.hear(Peer(), data)
        invited += sum(isinstance(e, Invited) for e in effects)
        for sent in (e for e in effects if isinstance(e, Send)):
            assert b"\r\n\r\n" in sent.data
        world.now += 0.05
    assert invited > 200
    check_all_is_over(world)


@pytest.mark.parametrize("name", INVITES)
def test_what_real_peers_send_is_a_call(name):
    world, peer = World(EVERYBODY), Peer()
    effects = world.hear(peer, INVITES[name])
    (invited,) = [e for e in effects if isinstance(e, Invited)]
    assert invited.invitation.content_type in ("application/sdp", "multipart/mixed")
    assert invited.invitation.is_recording == (name == "siprec")
    world.note(world.agent.accept(invited.dialog, OFFER, world.now))
    check_all_is_over(world)
    assert world.ends() == [(invited.dialog, "no_ack")]


def test_a_flood_of_listed_invites_is_bounded():
    world = World(EVERYBODY)
    for number in range(6_000):
        peer = Peer(f"10.{number % 40}.0.1", call_id=f"flood-{number}")
        world.now += 0.001
        world.agent.receive(peer.request("INVITE", body=OFFER), peer.flow, world.now)
    desk = world.agent._desk
    assert len(world.agent._dialogs) <= MAX_HALF_OPEN
    assert len(desk.theirs) <= MAX_TRANSACTIONS
    assert len(desk.timers) <= 2 * MAX_TRANSACTIONS
    world.run(3 * LIFE_S)
    assert len(desk.theirs) == len(world.agent._dialogs) == 0
