"""Pairs of ports."""

from __future__ import annotations

import socket

import pytest

from rtc_stt.errors import Unavailable
from signaling.telephony.sip.rtp_ports import RtpPorts


def test_pairs_are_even_and_odd_and_all_are_used() -> None:
    ports = RtpPorts("127.0.0.1", range(28_101, 28_110))
    pairs = [ports.take() for _ in range(4)]
    try:
        assert sorted(pair.port for pair in pairs) == [28_102, 28_104, 28_106, 28_108]
        assert all(pair.rtcp.getsockname()[1] == pair.port + 1 for pair in pairs)
        with pytest.raises(Unavailable):
            ports.take()
    finally:
        for pair in pairs:
            pair.close()
    again = ports.take()
    again.close()
    again.close()


def test_a_port_that_was_given_up_is_not_the_next_one() -> None:
    ports = RtpPorts("127.0.0.1", range(28_120, 28_130))
    seen = []
    for _ in range(5):
        pair = ports.take()
        seen.append(pair.port)
        pair.close()
    assert len(set(seen)) == 5


def test_ports_of_others_are_left_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 28_143))
        ports = RtpPorts("127.0.0.1", range(28_142, 28_146))
        pair = ports.take()
        pair.close()
        assert pair.port == 28_144


def test_an_address_that_is_not_ours_is_no_crash() -> None:
    with pytest.raises(Unavailable):
        RtpPorts("192.0.2.77", range(28_150, 28_154)).take()
