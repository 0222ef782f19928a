"""Where this server may be sent to knock."""

from __future__ import annotations

import pytest

from rtc_stt.errors import BadRequest
from signaling.candidates import MAX_CANDIDATES, Reach, candidate_ufrag, clean_candidate, clean_candidates

ANYWHERE = Reach(own=frozenset({"203.0.113.7", "2001:db8::7"}))
LOCAL = Reach(loopback=True)


def candidate(address: str = "192.0.2.1", port: object = 5000, *, transport: str = "udp") -> str:
    return f"1 1 {transport} 2130706431 {address} {port} typ host generation 0 network-cost 999"


@pytest.mark.parametrize("address", ["192.0.2.1", "10.1.2.3", "2001:db8::1", "fd00::1"])
@pytest.mark.parametrize("transport", ["udp", "UDP"])
def test_a_client_is_knocked_at(address, transport):
    kept = clean_candidate(candidate(address, transport=transport), ANYWHERE)
    assert kept == f"1 1 udp 2130706431 {address} 5000 typ host"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:192.0.2.1",
        "169.254.1.1",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "224.0.0.1",
        "239.1.1.1",
        "ff02::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "255.255.255.255",
        "240.0.0.1",
        "203.0.113.7",
        "2001:DB8:0::7",
        "f35c2e45-1f02-4785-95ec-2583fc62bf94.local",
        "example.org",
        "1.2.3",
        "192.0.2.01",
    ],
)
def test_nobody_else_is(address):
    assert clean_candidate(candidate(address), ANYWHERE) is None


@pytest.mark.parametrize("port", [0, 9, 53, 123, 1023])
def test_nor_are_well_known_services(port):
    assert clean_candidate(candidate(port=port), ANYWHERE) is None


@pytest.mark.parametrize("transport", ["tcp", "TCP", "ssltcp", "tls"])
def test_only_udp_is_served(transport):
    assert clean_candidate(candidate(transport=transport), ANYWHERE) is None


def test_the_component_of_rtcp_has_no_use():
    assert clean_candidate(candidate().replace("1 1 ", "1 2 ", 1), ANYWHERE) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1"])
def test_a_server_on_loopback_knocks_at_its_own_machine(address):
    assert clean_candidate(candidate(address), LOCAL) is not None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1 1 udp 1 192.0.2.1 5000 typ",
        "1 1 udp 1 192.0.2.1 5000 host typ",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp -1 192.0.2.1 5000 typ host",
        "1 1 udp 99999999999 192.0.2.1 5000 typ host",
        "1 257 udp 1 192.0.2.1 5000 typ host",
        "1 \u0661 udp 1 192.0.2.1 5000 typ host",
        "é 1 udp 1 192.0.2.1 5000 typ host",
        "1" * 65 + " 1 udp 1 192.0.2.1 5000 typ host",
    ],
)
def test_what_is_no_candidate_is_refused(value):
    with pytest.raises(BadRequest):
        clean_candidate(value, ANYWHERE)


def test_an_unknown_type_is_left_out():
    assert clean_candidate(candidate().replace("host", "other"), ANYWHERE) is None


def test_the_best_are_kept_each_address_once():
    values = [f"1 1 udp {n} 192.0.2.1 {2000 + n} typ host" for n in range(1, 41)]
    kept = clean_candidates([*values, *values], ANYWHERE)
    assert len(kept) == MAX_CANDIDATES
    assert [int(value.split()[3]) for value in kept] == list(range(40, 20, -1))


def test_a_candidate_tells_its_generation():
    assert candidate_ufrag(candidate() + " ufrag abcd") == "abcd"
    assert candidate_ufrag(candidate()) is None
    assert candidate_ufrag("1 2") is None
