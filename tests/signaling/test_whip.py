"""WHIP by RFC 9725, each status of the reference."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rtc_stt.errors import BadRequest, NotFound, Unavailable
from signaling.sdp import MAX_OFFER_BYTES
from signaling.settings import WebRtc
from tests.signaling.front import FRAGMENT, KEY, OFFER, OTHER_KEY, SDP, Gateway, error_of, start

UFRAG = "15yP"
CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host\r\n"
TURN = WebRtc(
    ice_servers=("stun:stun.example.org",), turn_url=("turn:turn.example.org?transport=udp",), turn_secret="s"
)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = await start()
    yield made
    await made.client.close()


async def test_an_offer_makes_a_resource(gateway):
    response = await gateway.offer()
    assert response.status == 201
    assert response.content_type == "application/sdp"
    assert response.headers["Location"] == "/whip/peer-1"
    assert response.headers["ETag"].strip('"').isalnum()
    assert "peer-1" not in response.headers["ETag"], "a tag is no key to the resource"
    assert await response.text() == gateway.host.answer
    assert "Link" not in response.headers
    [call] = gateway.host.calls
    assert call.resume is None
    assert call.sdp.startswith("v=0\r\n")
    assert ".local" not in call.sdp, "the offer is written anew"


async def test_the_answer_names_the_ice_servers():
    gateway = await start(webrtc=TURN)
    links = (await gateway.offer()).headers.getall("Link")
    assert links[0] == '<stun:stun.example.org>; rel="ice-server"'
    assert links[1].startswith('<turn:turn.example.org?transport=udp>; rel="ice-server"; username="')
    assert links[1].endswith('; credential-type="password"')
    assert '; credential="' in links[1]
    await gateway.client.close()


async def test_behind_nat_the_answer_tells_the_public_address():
    gateway = await start(webrtc=WebRtc(public_ip=("203.0.113.9",)))
    answer = await (await gateway.offer()).text()
    assert "203.0.113.9 5000 typ host" in answer
    assert "10.0.0.5" not in answer
    await gateway.client.close()


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (b"hello", SDP, 400, "bad_request"),
        (b"\xff\xfe", SDP, 400, "bad_request"),
        (b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", SDP, 422, "unprocessable"),
        (b"v=0", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"x" * (MAX_OFFER_BYTES + 1), SDP, 413, "request_entity_too_large"),
        (OFFER.encode(), SDP | {"Resume-Token": "ü"}, 400, "bad_request"),
        (OFFER.encode(), SDP | {"Resume-Token": "x", "Resume-From": "-1"}, 400, "bad_request"),
    ],
)
async def test_a_wrong_offer_is_refused(gateway, body, headers, status, kind):
    response = await gateway.client.post("/whip", data=body, headers=headers)
    assert response.status == status
    assert (await error_of(response))["type"] == kind
    assert not gateway.host.calls


async def test_refused_offers_are_counted_and_leave_nothing(gateway):
    for _ in range(10):
        assert (await gateway.offer("v=0\r\n")).status == 422
    assert gateway.refused("offer") == 10
    assert gateway.metrics.registry.get_sample_value("rtc_stt_half_open") == 0
    gateway.host.fails = BadRequest("the offer cannot be answered")
    assert (await gateway.offer()).status == 400
    assert gateway.refused("offer") == 11


async def test_an_offer_may_be_too_slow(gateway, monkeypatch):
    import asyncio

    monkeypatch.setattr("signaling.request.BODY_TIMEOUT_S", 0.05)

    async def drip():
        yield b"v=0"
        await asyncio.sleep(0.3)
        yield b"\r\n"

    response = await gateway.client.post("/whip", data=drip(), headers=SDP)
    assert response.status == 400
    assert "took more than" in (await error_of(response))["message"]


async def test_candidates_trickle_in(gateway):
    made = await gateway.offer()
    response = await patch(gateway, made, f"a=ice-ufrag:{UFRAG}\r\n{CANDIDATE}a=end-of-candidates\r\n")
    assert response.status == 204
    assert await response.text() == ""
    assert "ETag" not in response.headers
    [(peer, fragment)] = gateway.host.fragments
    assert peer == "peer-1"
    assert fragment.candidates == ("1 1 udp 2130706431 192.0.2.1 61764 typ host",)
    assert (fragment.ufrag, fragment.end) == (UFRAG, True)


async def patch(gateway: Gateway, made, body: str, **headers: str):
    told = FRAGMENT | {"If-Match": made.headers["ETag"]} | headers
    return await gateway.client.patch(made.headers["Location"], data=body, headers=told)


@pytest.mark.parametrize(
    ("body", "headers", "status", "kind"),
    [
        (CANDIDATE, {"If-Match": '"other"'}, 412, "precondition_failed"),
        (CANDIDATE, {"If-Match": "*"}, 422, "unprocessable"),
        (CANDIDATE, {"If-Match": '"*"'}, 422, "unprocessable"),
        (f"a=ice-ufrag:other\r\n{CANDIDATE}", {}, 422, "unprocessable"),
        (CANDIDATE, {"Content-Type": "application/sdp"}, 415, "unsupported_media_type"),
        ("hello", {}, 400, "bad_request"),
        ("a=mid:0\r\n", {}, 400, "bad_request"),
        ("a=candidate:x\r\n", {}, 400, "bad_request"),
        ("a=x\r\n" * 4_000, {}, 413, "request_entity_too_large"),
    ],
)
async def test_a_wrong_fragment_is_refused(gateway, body, headers, status, kind):
    made = await gateway.offer()
    response = await patch(gateway, made, body, **headers)
    assert response.status == status
    assert (await error_of(response))["type"] == kind
    assert not gateway.host.fragments


async def test_a_fragment_needs_a_precondition(gateway):
    made = await gateway.offer()
    response = await gateway.client.patch(made.headers["Location"], data=CANDIDATE, headers=FRAGMENT)
    assert response.status == 428
    assert (await error_of(response))["type"] == "precondition_required"


async def test_one_of_several_tags_is_enough(gateway):
    made = await gateway.offer()
    tags = f'"other", {made.headers["ETag"]}'
    assert (await patch(gateway, made, CANDIDATE, **{"If-Match": tags})).status == 204


async def test_fragments_that_come_too_fast_are_refused(gateway):
    made = await gateway.offer()
    statuses = [(await patch(gateway, made, CANDIDATE)).status for _ in range(30)]
    assert statuses[:20] == [204] * 20
    assert 429 in statuses
    taken = sum(len(fragment.candidates) for _, fragment in gateway.host.fragments)
    assert taken <= 20, "the others are left out without a word"


async def test_candidates_of_a_connection_that_has_ended_find_nobody(gateway):
    made = await gateway.offer()
    gateway.host.fails = NotFound("gone")
    assert (await patch(gateway, made, CANDIDATE)).status == 404


async def test_a_session_is_ended_and_ended_again(gateway):
    made = await gateway.offer()
    for _ in range(2):
        response = await gateway.client.delete(made.headers["Location"], headers={"If-Match": '"any"'})
        assert response.status == 200
    gateway.host.tell("session-1", "ended")
    gateway.host.fails = NotFound("gone")
    assert (await gateway.client.delete(made.headers["Location"])).status == 200, "known for some minutes"
    response = await gateway.client.delete("/whip/never")
    assert response.status == 404
    assert (await error_of(response))["type"] == "not_found"


async def test_options_tell_what_may_be_done(gateway):
    response = await gateway.client.options("/whip")
    assert response.status == 200
    assert response.headers["Accept-Post"] == "application/sdp"
    made = await gateway.offer()
    resource = await gateway.client.options(made.headers["Location"])
    assert resource.status == 200
    assert resource.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_reading_has_no_meaning_yet(gateway, method):
    made = await gateway.offer()
    for path in ("/whip", made.headers["Location"]):
        response = await gateway.client.request(method, path)
        assert response.status == 204
        assert await response.text() == ""
    assert (await gateway.client.request(method, "/whip/none")).status == 404


@pytest.mark.parametrize("path", ["/whip", "/whip/peer-1"])
async def test_putting_is_not_allowed(gateway, path):
    response = await gateway.client.put(path)
    assert response.status == 405
    assert "OPTIONS" in response.headers["Allow"]


async def test_what_the_host_refuses_is_told_with_when_to_ask_again(gateway):
    gateway.host.fails = Unavailable("as much to do as it can", retry_after_s=7)
    response = await gateway.offer()
    assert (response.status, response.headers["Retry-After"]) == (503, "7")


# ── Limits ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reason", "status", "server", "access"),
    [
        ("full", 503, {"max_sessions": 1}, {}),
        ("half_open", 503, {}, {"max_half_open": 1}),
        ("half_open", 429, {"api_keys": (KEY,)}, {"max_half_open_per_key": 1}),
        ("key_limit", 429, {"api_keys": (KEY,)}, {"max_sessions_per_key": 1}),
        ("address_limit", 429, {}, {"max_sessions_per_address": 1}),
        ("rate", 429, {"api_keys": (KEY,)}, {"rate_limit_burst": 1, "rate_limit_rps": 0.5}),
    ],
)
async def test_each_limit_has_its_status_and_reason(reason, status, server, access):
    gateway = await start(access=access, **server)
    headers = {"Authorization": f"Bearer {KEY}"}
    assert (await gateway.offer(**headers)).status == 201
    response = await gateway.offer(**headers)
    assert response.status == status
    assert int(response.headers["Retry-After"]) > 0
    assert (await error_of(response))["message"]
    assert gateway.refused(reason) == 1
    await gateway.client.close()


async def test_a_full_server_sends_its_clients_elsewhere():
    gateway = await start(max_sessions=1, access={"redirect_url": "https://b.example.org/"})
    await gateway.offer()
    response = await gateway.client.post("/whip", data=OFFER, headers=SDP, allow_redirects=False)
    assert response.status == 307
    assert response.headers["Location"] == "https://b.example.org/whip"
    gateway.host.tell("session-1", "ended")
    gateway.host.fails = Unavailable("draining")
    response = await gateway.client.post("/whip", data=OFFER, headers=SDP, allow_redirects=False)
    assert response.status == 307
    await gateway.client.close()


async def test_a_session_that_waits_makes_room(gateway):
    small = await start(max_sessions=1)
    await small.offer()
    small.host.tell("session-1", "connected")
    small.host.tell("session-1", "lost")
    assert (await small.offer()).status == 201
    assert small.host.ended == ["peer-1"]
    await small.client.close()


# ── Resume ────────────────────────────────────────────────────────────


async def test_who_comes_back_says_where_they_were():
    gateway = await start(api_keys=(KEY,), max_sessions=1)
    assert (await gateway.offer(Authorization=f"Bearer {KEY}")).status == 201
    gateway.host.tell("session-1", "connected")
    back = await gateway.offer(**{"Resume-Token": "session-1", "Resume-From": "17"})
    assert back.status == 201, "the token of the session is proof enough, and its place is counted already"
    resume = gateway.host.calls[-1].resume
    assert resume is not None
    assert (resume.token, resume.last_seq) == ("session-1", 17)
    for headers in ({"Resume-Token": "session-1"}, {"Authorization": f"Bearer {KEY}"}):
        assert (await gateway.client.delete(back.headers["Location"], headers=headers)).status == 200
    stranger = await gateway.client.delete(back.headers["Location"], headers={"Resume-Token": "guess"})
    assert stranger.status == 401
    await gateway.client.close()


async def test_who_comes_back_too_late_is_told_to_begin_anew(gateway):
    gateway.host.fails = NotFound("whatever")
    response = await gateway.offer(**{"Resume-Token": "old"})
    assert response.status == 404
    assert (await error_of(response))["type"] == "session_gone"
    assert gateway.refused("gone") == 1


async def test_another_key_has_no_way_to_a_session():
    gateway = await start(api_keys=(KEY, OTHER_KEY))
    made = await gateway.offer(Authorization=f"Bearer {KEY}")
    headers = {"Authorization": f"Bearer {OTHER_KEY}"}
    assert (await gateway.client.delete(made.headers["Location"], headers=headers)).status == 404
    assert (await patch(gateway, made, CANDIDATE, **headers)).status == 404
    assert not gateway.host.ended
    await gateway.client.close()


# ── Quotas ────────────────────────────────────────────────────────────


async def test_a_key_over_its_quota_is_told_when_to_come_back_and_its_session_is_ended():
    gateway = await start(api_keys=(KEY, OTHER_KEY), access={"daily_audio_seconds": 10})
    headers = {"Authorization": f"Bearer {KEY}"}
    token = (await (await gateway.client.post("/v1/tokens", headers=headers)).json())["token"]
    assert (await gateway.offer(**headers)).status == 201
    gateway.host.tell("session-1", "connected")
    gateway.host.hear("session-1", 9.0)
    assert gateway.host.expelled == []
    gateway.host.hear("session-1", 1.0)
    assert gateway.host.expelled == [("session-1", "quota_exceeded")]
    for authorization in (f"Bearer {KEY}", f"Bearer {token}"):
        response = await gateway.offer(Authorization=authorization)
        assert response.status == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 86_400
        error = await error_of(response)
        assert error["type"] == "quota_exceeded"
        assert "10 s" in error["message"]
    assert gateway.refused("quota") == 2
    assert (await gateway.offer(Authorization=f"Bearer {OTHER_KEY}")).status == 201
    await gateway.client.close()


async def test_who_resumes_does_not_dodge_the_quota():
    gateway = await start(api_keys=(KEY,), access={"daily_audio_seconds": 10})
    await gateway.offer(Authorization=f"Bearer {KEY}")
    gateway.host.tell("session-1", "connected")
    gateway.host.tell("session-1", "lost")
    assert (await gateway.offer(**{"Resume-Token": "session-1", "Resume-From": "0"})).status == 201
    gateway.host.tell("session-1", "connected")
    gateway.host.hear("session-1", 12.0)
    assert gateway.host.expelled == [("session-1", "quota_exceeded")]
    body = await (
        await gateway.client.get("/v1/usage?days=1", headers={"Authorization": f"Bearer {KEY}"})
    ).json()
    assert [(day["audio_seconds"], day["sessions"]) for day in body["days"]] == [(12, 1)]
    await gateway.client.close()
