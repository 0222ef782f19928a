from __future__ import annotations

from signaling.telephony.asterisk.waiting_room import (
    BURST,
    MAX_NETWORKS,
    MAX_WAITING,
    MAX_WAITING_OF_ONE,
    RATE,
    WaitingRoom,
)


def test_one_address_cannot_take_all_places() -> None:
    room = WaitingRoom()
    assert all(room.enter("192.0.2.1", 0.0) is None for _ in range(MAX_WAITING_OF_ONE))
    assert room.enter("192.0.2.1", 0.0) == "full"
    assert room.enter("192.0.2.2", 0.0) is None
    room.leave("192.0.2.1")
    assert room.enter("192.0.2.1", 0.0) is None


def test_there_are_so_many_places_in_all() -> None:
    room = WaitingRoom()
    entered = [room.enter(f"192.0.2.{n}", 0.0) for n in range(MAX_WAITING + 1)]
    assert entered.count(None) == len(room) == MAX_WAITING
    assert entered[-1] == "full"


def test_addresses_of_one_ipv6_network_are_one() -> None:
    room = WaitingRoom()
    for n in range(MAX_WAITING_OF_ONE):
        assert room.enter(f"2001:db8::{n:x}", 0.0) is None
    assert room.enter("2001:db8::ffff", 0.0) == "full"
    assert room.enter("2001:db8:0:1::1", 0.0) is None


def test_who_connects_too_often_has_to_wait() -> None:
    room = WaitingRoom()
    for _ in range(int(BURST)):
        assert room.enter("192.0.2.1", 0.0) is None
        room.leave("192.0.2.1")
    assert room.enter("192.0.2.1", 0.0) == "rate"
    assert len(room) == 0
    assert room.enter("192.0.2.2", 0.0) is None
    assert room.enter("192.0.2.1", 1.5 / RATE) is None


def test_it_remembers_only_so_many_networks() -> None:
    room = WaitingRoom()
    for n in range(MAX_NETWORKS + 10):
        room.enter(f"10.0.{n // 256}.{n % 256}", 0.0)
        room.leave(f"10.0.{n // 256}.{n % 256}")
    assert len(room._buckets) == MAX_NETWORKS
    assert not room._waiting
