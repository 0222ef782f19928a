"""Where the gateway may listen, and for whom."""

from __future__ import annotations

import pytest

from rtc_stt.config_keys import Values, build
from rtc_stt.errors import ConfigError
from signaling.settings import Access, Server, WebRtc

KEY = "a-key-of-sixteen-chars"


def test_without_any_configuration_only_this_machine_is_served():
    assert Server().is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.4.5"])
def test_loopback_needs_no_key(host):
    assert Server(host=host).is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "stt.example.org"])
def test_all_other_addresses_can_be_reached_by_others(host):
    assert not Server(host=host).is_loopback


def test_a_short_key_is_refused_and_not_shown():
    with pytest.raises(ConfigError) as error:
        Server(api_keys=(KEY, "short"))
    assert "short" not in str(error.value)


def test_keys_are_not_shown():
    assert KEY not in repr(Server(api_keys=(KEY,)))


def test_keys_are_a_comma_list():
    values = Values({"API_KEYS": (f"{KEY}, {KEY}-two", "environment")})
    assert build(Server, values).api_keys == (KEY, f"{KEY}-two")


@pytest.mark.parametrize(
    ("group", "settings", "key"),
    [
        (Access, {"token_secret": "short"}, "TOKEN_SECRET"),
        (Access, {"redirect_url": "b.example.org"}, "REDIRECT_URL"),
        (Access, {"redirect_url": "https://b.example.org/?x"}, "REDIRECT_URL"),
        (Access, {"trusted_proxies": ("proxy",)}, "TRUSTED_PROXIES"),
        (Access, {"allowed_origins": ("app.example.org",)}, "ALLOWED_ORIGINS"),
        (WebRtc, {"ice_servers": ("x",)}, "ICE_SERVERS"),
        (WebRtc, {"turn_url": ("turn:x",)}, "TURN_SECRET"),
        (WebRtc, {"public_ip": ("here",)}, "PUBLIC_IP"),
    ],
)
def test_what_cannot_be_is_told_by_its_key_before_anything_starts(group, settings, key):
    with pytest.raises(ConfigError, match=key) as error:
        group(**settings)
    assert "short" not in str(error.value)
