"""Whose packets are media."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.sip.latch import SILENT_S, Latch, Source

PEER, NAT, OTHER = ("192.0.2.1", 4_000), ("198.51.100.1", 9_999), ("203.0.113.1", 1_234)


def latch(expected: Source | None = PEER) -> Latch:
    made = Latch()
    made.expect(expected)
    return made


def test_who_is_where_the_description_says_is_believed_at_once() -> None:
    lock = latch()
    assert lock.accept(PEER, 1, 100, 0.0)
    assert lock.source == PEER
    assert not lock.accept(OTHER, 2, 1, 0.1)
    assert not lock.accept(OTHER, 2, 2, 0.2)
    assert not lock.may_try(OTHER, 100.0), "whoever is silent, no other address takes over"


def test_who_is_behind_a_nat_is_believed_at_the_second_packet_in_a_row() -> None:
    lock = latch()
    assert not lock.accept(NAT, 1, 65_535, 0.0)
    assert lock.accept(NAT, 1, 0, 0.02)
    assert lock.source == NAT


def test_packets_that_do_not_follow_each_other_prove_nothing() -> None:
    lock = latch()
    assert not any(lock.accept(NAT, 1, number * 10, 0.0) for number in range(20))
    assert not any(lock.accept(NAT, number, number, 0.0) for number in range(20))
    assert lock.source is None


def test_who_was_first_without_proof_gives_way_to_the_peer() -> None:
    lock = latch()
    lock.accept(OTHER, 2, 1, 0.0)
    assert lock.accept(OTHER, 2, 2, 0.1)
    assert lock.accept(PEER, 1, 1, 0.2)
    assert not lock.accept(OTHER, 2, 3, 0.3)
    assert lock.source == PEER


def test_a_key_proves_everything() -> None:
    lock = latch()
    assert lock.accept(NAT, 1, 1, 0.0, proven=True)
    assert lock.accept(OTHER, 1, 2, 0.1, proven=True), "it has got another address"
    assert lock.source == OTHER


def test_another_port_after_a_silence() -> None:
    lock, moved = latch(), (PEER[0], 5_555)
    assert lock.accept(PEER, 1, 1, 0.0)
    assert not lock.accept(moved, 1, 2, 1.0)
    assert not lock.accept(moved, 1, 3, 1.02)
    late = SILENT_S + 1
    assert not lock.accept(moved, 1, 4 + 100, late)
    assert lock.accept(moved, 1, 5 + 100, late)
    assert not lock.accept(OTHER, 1, 106, late)
    assert lock.accept(PEER, 1, 6, late), "it is where it says that it is"


def test_a_further_description_opens_the_lock_and_the_old_source_counts_until_the_new_one_speaks() -> None:
    lock, new = latch(), ("192.0.2.1", 6_000)
    lock.accept(PEER, 1, 1, 0.0)
    lock.expect(PEER)
    assert lock.source == PEER, "nothing has changed"
    lock.expect(new)
    assert lock.accept(PEER, 1, 2, 0.1)
    assert lock.accept(new, 2, 1, 0.2)
    assert not lock.accept(PEER, 1, 3, 0.3)


def test_without_an_address_the_first_who_shows_itself_is_it() -> None:
    lock = latch(None)
    assert not lock.accept(OTHER, 1, 1, 0.0)
    assert lock.accept(OTHER, 1, 2, 0.0)


SOURCES = st.sampled_from([NAT, OTHER, (PEER[0], 5), ("2001:db8::1", 4_000)])


@given(st.lists(st.tuples(SOURCES, st.integers(0, 2), st.integers(0, 65_535)), max_size=60))
def test_no_stranger_takes_over_from_the_peer_while_it_speaks(
    packets: list[tuple[Source, int, int]],
) -> None:
    lock, now = latch(), 0.0
    assert lock.accept(PEER, 1, 1, now)
    for number, (source, ssrc, sequence) in enumerate(packets):
        now += 0.02
        assert not lock.accept(source, ssrc, sequence, now)
        assert lock.accept(PEER, 1, number, now)
