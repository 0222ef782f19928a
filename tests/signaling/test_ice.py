"""ICE servers and the credentials for them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from rtc_stt.errors import ConfigError
from signaling.ice import IceServers

STUN, TURN = "stun:stun.example.org:3478", "turns:turn.example.org:5349?transport=tcp"


def test_nothing_is_told_where_nothing_is_configured():
    assert IceServers((), (), "", 60).told("user", 0) == []


def test_credentials_are_coturns():
    stun, turn = IceServers((STUN,), (TURN,), "north", 3600).told("user", 1_000.9)
    assert stun.as_mapping() == {"urls": [STUN]}
    assert turn.username == "4600:user"
    expected = hmac.new(b"north", b"4600:user", hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(expected).decode()
    assert turn.as_mapping() == {"urls": [TURN], "username": turn.username, "credential": turn.credential}


def test_links_are_those_of_the_rfc():
    stun, turn = IceServers((STUN,), (TURN,), "north", 3600).told("user", 1_000)
    assert stun.links() == [f'<{STUN}>; rel="ice-server"']
    assert turn.links() == [
        f'<{TURN}>; rel="ice-server"; username="4600:user"; credential="{turn.credential}"; '
        'credential-type="password"'
    ]


@pytest.mark.parametrize("url", ["stun:x", "stuns:x.example:1", "stun:192.0.2.1", "stun:[2001:db8::1]:3478"])
def test_stun_urls(url):
    assert IceServers((url,), (), "", 60).told("u", 0)[0].urls == (url,)


@pytest.mark.parametrize(
    ("stun", "turn", "secret", "key"),
    [
        (("stun.example.org",), (), "", "ICE_SERVERS"),
        (("turn:x",), (), "", "ICE_SERVERS"),
        (("stun:x?transport=udp",), (), "", "ICE_SERVERS"),
        (("stun:x:0",), (), "", "ICE_SERVERS"),
        (("stun:x:70000",), (), "", "ICE_SERVERS"),
        (("stun://x",), (), "", "ICE_SERVERS"),
        (('stun:x>; rel="y',), (), "", "ICE_SERVERS"),
        ((), ("stun:x",), "s", "TURN_URL"),
        ((), ("turn:x?transport=sctp",), "s", "TURN_URL"),
        ((), ("turn:x",), "", "TURN_SECRET"),
    ],
)
def test_what_is_wrong_is_told_by_its_key(stun, turn, secret, key):
    with pytest.raises(ConfigError, match=key):
        IceServers(stun, turn, secret, 60)
