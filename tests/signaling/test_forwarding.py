"""Where a request came from."""

from __future__ import annotations

import pytest

from rtc_stt.errors import ConfigError
from signaling.forwarding import find_source, parse_proxies

PROXIES = parse_proxies(["10.0.0.0/8", "::1"])


@pytest.mark.parametrize(
    ("peer", "header", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.1,10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("", "1.2.3.4", ""),
    ],
)
def test_only_trusted_proxies_are_believed(peer, header, address):
    assert find_source(peer, header, header is not None, PROXIES).address == address


def test_a_long_chain_is_not_followed_for_ever():
    assert find_source("10.0.0.1", ",".join(["10.0.0.2"] * 10_000), True, PROXIES).address == "10.0.0.2"


@pytest.mark.parametrize(
    ("peer", "forwarded", "local"),
    [
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("127.0.0.1", True, False),
        ("192.0.2.1", False, False),
        ("", False, False),
    ],
)
def test_who_is_local(peer, forwarded, local):
    assert find_source(peer, None, forwarded, ()).is_local is local


def test_what_is_no_network_is_a_configuration_error():
    with pytest.raises(ConfigError, match="TRUSTED_PROXIES"):
        parse_proxies(["proxy"])
