"""Digest authentication; the vector is of RFC 7616 §3.9.1."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.errors import ConfigError
from signaling.telephony.settings import Sip
from signaling.telephony.sip import digest as module
from signaling.telephony.sip.digest import ALGORITHMS, NONCE_S, Digest, Outcome, read_users, respond
from signaling.telephony.sip.fields import read_credentials
from signaling.telephony.sip.vocabulary import Invited
from tests.signaling.telephony.sip.world import OFFER, SECRET, Peer, World, entropy, parse

HOST = "198.51.100.7"
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def make(**users: str) -> Digest:
    return Digest(users or {"alice": "open-sesame"}, "rtc-stt", SECRET, entropy())


def credentials(
    challenge: str, *, name="alice", word="open-sesame", method="INVITE", nc="00000001", **changes: str
) -> str:
    """What a client answers, computed on its own."""
    asked = read_credentials(challenge).parameters
    algorithm = changes.pop("algorithm", asked["algorithm"])
    make_hash = HASHES.get(algorithm, hashlib.md5)

    def digest(text: str) -> str:
        return make_hash(text.encode()).hexdigest()

    first, second = digest(f"{name}:{asked['realm']}:{word}"), digest(f"{method}:sip:stt@x")
    response = digest(f"{first}:{asked['nonce']}:{nc}:c:auth:{second}")
    fields = {"username": name, "realm": asked["realm"], "nonce": asked["nonce"], "uri": "sip:stt@x"}
    fields |= {"response": response, "cnonce": "c", "opaque": ""} | changes
    quoted = ", ".join(f'{key}="{value}"' for key, value in fields.items())
    return f"Digest {quoted}, qop=auth, nc={nc}, algorithm={algorithm}"


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_vector_of_the_standard(algorithm, response):
    shown = read_credentials(
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth'
    )
    assert respond(shown, ALGORITHMS[algorithm], "Circle of Life", "GET") == response


@pytest.mark.parametrize("which", [0, 1])
def test_who_knows_the_password_is_let_in_once_for_each_count(which):
    digest = make()
    challenge = digest.challenges(HOST, 10.0)[which]
    shown = credentials(challenge)
    assert digest.check(shown, "INVITE", HOST, 11.0) == (Outcome.RIGHT, "alice")
    assert digest.check(shown, "INVITE", HOST, 11.0) == (Outcome.STALE, "")
    assert digest.check(credentials(challenge, nc="0000000a"), "INVITE", HOST, 12.0)[0] is Outcome.RIGHT
    assert digest.check(credentials(challenge, nc="00000002"), "INVITE", HOST, 12.0)[0] is Outcome.STALE


@pytest.mark.parametrize(
    ("changes", "address", "now", "outcome"),
    [
        ({"word": "wrong"}, HOST, 10.0, Outcome.WRONG),
        ({"name": "bob"}, HOST, 10.0, Outcome.WRONG),
        ({"method": "BYE"}, HOST, 10.0, Outcome.WRONG),
        ({"realm": "other"}, HOST, 10.0, Outcome.WRONG),
        ({"algorithm": "MD5-sess"}, HOST, 10.0, Outcome.WRONG),
        ({"nc": "1"}, HOST, 10.0, Outcome.WRONG),
        ({"nc": "0000000g"}, HOST, 10.0, Outcome.STALE),
        ({"nc": "00000000"}, HOST, 10.0, Outcome.STALE),
        ({}, HOST, 10.0 + NONCE_S + 0.1, Outcome.STALE),
        ({}, HOST, 9.9, Outcome.STALE),
        ({}, "198.51.100.8", 10.0, Outcome.STALE),
    ],
)
def test_what_is_not_right(changes, address, now, outcome):
    digest = make()
    shown = credentials(digest.challenges(HOST, 10.0)[1], **changes)
    assert digest.check(shown, "INVITE", address, now) == (outcome, "")


@pytest.mark.parametrize("nonce", ["", "x", "AAAA", "\u00e9", "QI9AAAAAAABrhrJz_zT84dT3v3Qsjfc2-1kKn0Tdy9o="])
def test_a_nonce_of_somebody_else(nonce):
    digest = make()
    made = digest.challenges(HOST, 10.0)[1]
    forged = made.replace(read_credentials(made).parameters["nonce"], nonce)
    assert digest.check(credentials(forged), "INVITE", HOST, 10.0)[0] is Outcome.STALE


def test_counts_are_forgotten_with_their_nonce_and_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_USED", 50)
    digest = make()
    held: list[int] = []
    for number in range(200):
        challenge = digest.challenges(HOST, float(number))[1]
        held = [made for made in held if made >= number - NONCE_S]
        expected = Outcome.STALE if len(held) == 50 else Outcome.RIGHT
        held += [number] if expected is Outcome.RIGHT else []
        assert digest.check(credentials(challenge), "INVITE", HOST, float(number))[0] is expected
        assert len(digest) <= 50


@given(
    st.text(max_size=80)
    | st.text(max_size=60).map(lambda t: f"Digest {t}")
    | st.integers(0, 40).map(lambda n: "Digest " + ",".join(['a="b"'] * n) + "\x01")
)
def test_anything_is_checked(header):
    assert make().check(header, "INVITE", HOST, 1.0) == (Outcome.WRONG, "")


def test_users_are_read_and_never_quoted():
    assert read_users(("a:b", "c:d:e")) == {"a": "b", "c": "d:e"}
    for wrong in ("secret", ":secret", "secret:"):
        with pytest.raises(ConfigError) as caught:
            read_users((wrong,))
        assert "secret" not in str(caught.value)


# ── With the rest ──


def asked(world: World, peer: Peer) -> str:
    sent = world.hear(peer, peer.request("INVITE", "X-Padding: " + "x" * 400, body=OFFER))
    return parse(sent[0].data).headers.getlist("WWW-Authenticate")[1]


def test_who_has_shown_it_needs_it_no_more_in_the_dialog():
    world, peer = World(Sip(sip_users=("alice:open-sesame",))), Peer(HOST)
    shown = credentials(asked(world, peer))
    effects = world.hear(peer, peer.request("INVITE", f"Authorization: {shown}", body=OFFER))
    (invited,) = [e for e in effects if isinstance(e, Invited)]
    assert invited.invitation.user == "alice"
    world.note(world.agent.accept(invited.dialog, OFFER, world.now))
    peer.our_tag = invited.dialog
    world.hear(peer, peer.request("ACK", cseq=peer.cseq))
    stranger = Peer("203.0.113.9", our_tag=peer.our_tag, cseq=10)
    world.hear(stranger, stranger.request("BYE", "X-Padding: " + "x" * 400))
    assert world.starts()[-1] == "SIP/2.0 401 Unauthorized"
    assert world.ends() == []
    world.hear(peer, peer.request("BYE"))
    assert world.ends() == [(invited.dialog, "hangup")]


def test_a_retransmitted_invite_is_no_replay():
    world, peer = World(Sip(sip_users=("alice:open-sesame",))), Peer(HOST)
    data = peer.request("INVITE", f"Authorization: {credentials(asked(world, peer))}", body=OFFER)
    world.hear(peer, data)
    world.hear(peer, data)
    assert world.starts()[1:] == ["SIP/2.0 100 Trying"] * 2
    copied = Peer(HOST, call_id="other", tag="t2")
    authorization = next(line for line in data.decode().splitlines() if line.startswith("Authorization"))
    world.hear(copied, copied.request("INVITE", authorization, body=OFFER))
    assert "stale=true" in world.sent()[-1].decode()
    assert world.counts() == ["auth"]
