"""Who is let in, how often, and that nobody is made to shout at somebody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import ConfigError
from signaling.telephony.settings import Sip
from signaling.telephony.sip.allow_list import AllowList, network_of
from signaling.telephony.sip.gate import STRANGER_BURST, STRANGER_TOTAL
from signaling.telephony.sip.rates import MAX_NETWORKS, Rates
from signaling.telephony.sip.vocabulary import Count, Disconnect, Invited, Send
from tests.signaling.telephony.sip.invites import INVITES, spoiled
from tests.signaling.telephony.sip.world import OFFER, Peer, World, parse

USERS = Sip(sip_users=("alice:open-sesame",))


@pytest.mark.parametrize(
    ("address", "is_listed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("2001:db8::5", True),
        ("2001:db8::5%eth0", True),
        ("2001:db9::5", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("pbx", False),
        ("", False),
    ],
)
def test_who_is_listed(address, is_listed):
    assert AllowList(("10.0.0.0/8", "2001:db8::/32", "192.0.2.7")).has(address) is is_listed


def test_what_cannot_be_listed_is_named():
    with pytest.raises(ConfigError, match="SIP_ALLOW: 'pbx'"):
        AllowList(("pbx",))


def test_networks():
    assert network_of("192.0.2.77") == "192.0.2.0/24"
    assert network_of("::ffff:192.0.2.77") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"
    assert network_of("x") == "x"


@given(
    st.lists(
        st.tuples(st.sampled_from(["192.0.2.1", "192.0.2.9", "10.0.0.1"]), st.floats(0, 0.5)), max_size=80
    )
)
def test_no_network_has_more_than_its_rate(steps):
    rates, now, had = Rates(5, 3, 1000), 0.0, {"192": 0, "10.": 0}
    for address, pause in steps:
        now += pause
        had[address[:3]] += rates.take(address, now)
    assert all(count <= 3 + 5 * now + 1e-6 for count in had.values())


def test_networks_are_forgotten_and_all_together_have_a_rate():
    rates = Rates(10, 10, 100)
    taken = sum(rates.take(f"10.{n // 256}.{n % 256}.1", 0.0) for n in range(3 * MAX_NETWORKS))
    assert len(rates) == MAX_NETWORKS
    assert taken == 100


# ── Strangers ──


def test_without_passwords_a_stranger_is_not_even_read():
    world, stranger = World(), Peer("203.0.113.9")
    assert world.hear(stranger, stranger.request("INVITE", body=OFFER)) == [Count("unlisted")]
    assert world.hear(stranger, b"\xff" * 1000) == [Count("unlisted")]
    tcp = Peer("203.0.113.9", transport="tcp")
    assert world.hear(tcp, tcp.request("OPTIONS")) == [Count("unlisted"), Disconnect(tcp.flow)]
    assert world.agent.next_deadline() is None


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE", "UPDATE", "REGISTER", "FROB"])
def test_with_passwords_everybody_is_asked(method):
    world, stranger = World(USERS), Peer("203.0.113.9")
    (sent,) = world.hear(stranger, stranger.request(method, "X-Padding: " + "x" * 300))
    answer = parse(sent.data)
    assert answer.code == 401
    challenges = answer.headers.getlist("WWW-Authenticate")
    assert [c.rpartition("algorithm=")[2] for c in challenges] == ["SHA-256", "MD5"]
    assert world.agent.next_deadline() is None, "nothing is remembered"


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_what_cannot_be_challenged_is_dropped(method):
    world, stranger = World(USERS), Peer("203.0.113.9")
    effects = world.hear(stranger, stranger.request(method, cseq=1))
    assert not [e for e in effects if isinstance(e, Send)]


def test_the_challenge_is_the_same_for_the_same_request_but_for_its_nonce():
    world, stranger = World(USERS), Peer("203.0.113.9")
    data = stranger.request("INVITE", "X-Padding: " + "x" * 300)
    first, second = (parse(world.hear(stranger, data)[0].data) for _ in range(2))
    assert first.to_address == second.to_address


def test_no_challenge_is_longer_than_what_it_answers():
    world, stranger = World(USERS), Peer("203.0.113.9")
    sizes = set()
    for padding in range(0, 400, 10):
        world.now += 1
        data = stranger.request("OPTIONS", "X: " + "x" * padding)
        effects = world.hear(stranger, data)
        sent = [e for e in effects if isinstance(e, Send)]
        assert all(len(e.data) <= len(data) for e in sent)
        assert len(sent) == 1 or effects == [Count("amplification")]
        sizes.add(parse(sent[0].data).headers.getlist("WWW-Authenticate").__len__() if sent else 0)
    assert sizes == {0, 1, 2}


@given(
    st.sampled_from(sorted(INVITES)).map(INVITES.get)
    | st.integers(0, 10_000).map(spoiled)
    | st.binary(max_size=400),
    st.sampled_from([0, 1]),
)
def test_no_stranger_gets_more_than_was_sent_nor_leaves_a_trace(data, again):
    world, stranger = World(USERS), Peer("203.0.113.9")
    for _ in range(1 + again):
        effects = world.hear(stranger, data)
        assert sum(len(e.data) for e in effects if isinstance(e, Send)) <= len(data)
        assert all(e.flow.address == stranger.address for e in effects if isinstance(e, Send))
        assert not [e for e in effects if isinstance(e, Invited)]
    assert world.agent.next_deadline() is None


def test_a_flood_of_strangers_is_bounded():
    world = World(USERS)
    answered = 0
    for number in range(3_000):
        stranger = Peer(f"203.{number // 250}.{number % 250}.9")
        answered += sum(
            isinstance(e, Send) for e in world.hear(stranger, stranger.request("INVITE", body=OFFER))
        )
    assert answered <= STRANGER_TOTAL
    one = Peer("198.51.100.1")
    world.now += 10
    answered = sum(
        isinstance(e, Send) for _ in range(500) for e in world.hear(one, one.request("INVITE", body=OFFER))
    )
    assert answered == STRANGER_BURST
    assert world.counts().count("rate") > 2_000
    assert world.agent.next_deadline() is None
