"""Signatures of carriers: of the URL that they were told, whatever a proxy made of it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.telephony.twilio_signature import candidate_urls, is_signed

TOKEN = "12345"
TARGET = "/v1/media/twilio/st_abc"


def sign(url: str, token: str = TOKEN, digest=hashlib.sha1) -> str:
    return base64.b64encode(hmac.new(token.encode(), url.encode(), digest).digest()).decode()


def test_an_example_of_twilios_own():
    """https://www.twilio.com/docs/usage/security: the parameters of its form stand behind the URL."""
    form = "CallSidCA1234567890ABCDECaller+12349013030Digits1234From+12349013030To+18005551212"
    url = "https://mycompany.com/myapp.php?foo=1&bar=2" + form
    assert is_signed((url,), TOKEN, "0/KCTR6DLpKmkAf8muzZqo1nDgQ=")


@pytest.mark.parametrize(
    "url",
    [
        "wss://stt.example/v1/media/twilio/st_abc",
        "wss://stt.example:443/v1/media/twilio/st_abc",
        "wss://stt.example/v1/media/twilio/st_abc/",
        "https://stt.example/v1/media/twilio/st_abc",
        "https://stt.example:443/v1/media/twilio/st_abc/",
    ],
)
@pytest.mark.parametrize(
    "public_url", ["https://stt.example", "https://stt.example/", "wss://stt.example:443"]
)
def test_the_port_and_a_slash_make_no_difference(url, public_url):
    assert is_signed(candidate_urls(public_url, TARGET), TOKEN, sign(url))


def test_a_port_of_its_own_may_be_left_out():
    urls = candidate_urls("https://stt.example:8443/stt", TARGET)
    assert is_signed(urls, TOKEN, sign(f"wss://stt.example:8443/stt{TARGET}"))
    assert is_signed(urls, TOKEN, sign(f"wss://stt.example/stt{TARGET}"))
    assert not is_signed(urls, TOKEN, sign(f"wss://stt.example:9443/stt{TARGET}"))


def test_a_query_is_signed_too():
    urls = candidate_urls("https://stt.example", "/v1/media/telnyx?language=de")
    assert is_signed(urls, TOKEN, sign("wss://stt.example/v1/media/telnyx?language=de"))
    assert not is_signed(urls, TOKEN, sign("wss://stt.example/v1/media/telnyx"))


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("wss://other.example/v1/media/twilio/st_abc", TOKEN),
        ("wss://stt.example/v1/media/twilio/st_abd", TOKEN),
        ("ws://stt.example/v1/media/twilio/st_abc", TOKEN),
        ("wss://stt.example/v1/media/twilio/st_abc", "another"),
    ],
)
def test_what_was_signed_otherwise_is_not_signed(url, token):
    assert not is_signed(candidate_urls("https://stt.example", TARGET), TOKEN, sign(url, token))


def test_the_settings_name_sha_256_and_then_nothing_else_counts():
    urls = candidate_urls("https://stt.example", TARGET)
    url = f"wss://stt.example{TARGET}"
    newer = sign(url, digest=hashlib.sha256)
    assert is_signed(urls, TOKEN, newer, "alg=sha256")
    assert is_signed(urls, TOKEN, newer, "SHA-256")
    assert not is_signed(urls, TOKEN, newer)
    assert not is_signed(urls, TOKEN, sign(url), "alg=sha256")


@pytest.mark.parametrize("signature", ["", "x", "=" * 28, "é" * 28, "\udcff", "a" * 10_000])
def test_what_is_no_signature_is_none(signature):
    assert not is_signed(candidate_urls("https://stt.example", TARGET), TOKEN, signature)


def test_without_a_token_nothing_is_signed():
    assert not is_signed(("wss://a/",), "", sign("wss://a/", ""))


def test_without_a_url_nothing_is_signed():
    assert candidate_urls("", TARGET) == ()
    assert candidate_urls("https://[", TARGET) == ()
    assert candidate_urls("ftp://stt.example", TARGET) == ()
    assert candidate_urls("https://stt.example:port", TARGET) == ()
    assert "wss://[::1]:8080/x" in candidate_urls("https://[::1]:8080", "/x")


@given(st.text(), st.text(), st.text(), st.text())
def test_whatever_is_shown_nothing_is_raised(public_url, target, signature, settings):
    urls = candidate_urls("https://" + public_url, target)
    assert not is_signed(urls, TOKEN, signature, settings)
