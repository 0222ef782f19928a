"""Whose pages may use this server."""

from __future__ import annotations

import pytest

from rtc_stt.errors import ConfigError, Forbidden
from signaling.origins import Origins

APP = "https://app.example.org"


@pytest.mark.parametrize("origin", [None, "http://stt.example.org:8080", "https://stt.example.org:8080", APP])
def test_the_own_page_and_those_allowed_may(origin):
    Origins([APP]).check(origin, "stt.example.org:8080")


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "stt.example.org:8080",
        "http://stt.example.org",
        APP + ".evil",
        "file://",
    ],
)
def test_others_may_not(origin):
    with pytest.raises(Forbidden, match="ALLOWED_ORIGINS"):
        Origins([APP]).check(origin, "stt.example.org:8080")


def test_a_client_that_is_no_browser_may_make_up_an_origin_without_the_port():
    origins = Origins([])
    for origin in ("http://stt.example", "https://stt.example:8443", "http://STT.example:80"):
        origins.check(origin, "stt.example:8080", any_port=True)
    for origin in ("http://evil.example:8080", "stt.example", "null", "http://stt.example.evil.example", ""):
        with pytest.raises(Forbidden):
            origins.check(origin, "stt.example:8080", any_port=True)
    with pytest.raises(Forbidden):
        origins.check("http://stt.example", "stt.example:8080")


def test_all_may_where_the_operator_says_so():
    origins = Origins(["*"])
    origins.check("null", "x")
    assert origins.headers("https://any.example")["Access-Control-Allow-Origin"] == "*"


def test_headers_let_only_allowed_pages_read():
    origins = Origins([APP])
    assert origins.headers(APP)["Access-Control-Allow-Origin"] == APP
    assert "Location" in origins.headers(APP)["Access-Control-Expose-Headers"]
    for other in (None, "https://evil.example"):
        assert origins.headers(other) == {"Vary": "Origin"}
    assert not any("Credentials" in name for name in origins.headers(APP))


@pytest.mark.parametrize(
    "origin", ["app.example.org", "https://", "ftp://x", "https://x/path", "https://x?y"]
)
def test_what_is_no_origin_is_a_configuration_error(origin):
    with pytest.raises(ConfigError, match="ALLOWED_ORIGINS"):
        Origins([origin])


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8080",
        "127.0.0.1:8080",
        "127.9.9.9",
        "[::1]:8080",
        "LOCALHOST",
        "app.example.org",
    ],
)
def test_an_open_server_on_loopback_has_names_of_its_machine(host):
    Origins([APP], local_only=True).check_host(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "192.168.0.1", "", "localhost.evil.example"]
)
def test_under_another_name_it_is_not_at_home(host):
    with pytest.raises(Forbidden, match="ALLOWED_ORIGINS"):
        Origins([APP], local_only=True).check_host(host)
    Origins([APP]).check_host(host)
