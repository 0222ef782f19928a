"""The SmallWebRTC dialect."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rtc_stt.errors import NotFound
from signaling.sdp import MAX_OFFER_BYTES
from tests.signaling.front import KEY, OFFER, OFFERS, Gateway, error_of, start

JSON = {"Content-Type": "application/json"}
CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host generation 0 ufrag 15yP network-id 1"


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = await start()
    yield made
    await made.client.close()


async def post(gateway: Gateway, **body: Any) -> Any:
    return await gateway.client.post("/api/offer", json={"type": "offer", "sdp": OFFER} | body)


async def patch(gateway: Gateway, **body: Any) -> Any:
    return await gateway.client.patch("/api/offer", json=body)


async def test_an_offer_is_answered(gateway):
    response = await post(gateway, pc_id=None, restart_pc=False, requestData={"any": "thing"})
    assert response.status == 200
    assert await response.json() == {"type": "answer", "sdp": gateway.host.answer, "pc_id": "peer-1"}


async def test_the_video_that_pipecats_client_always_offers_is_turned_down(gateway):
    answer = (await (await post(gateway, sdp=OFFERS["chromium-pipecat"])).json())["sdp"]
    kinds = [line.split()[:2] for line in answer.splitlines() if line.startswith("m=")]
    assert kinds == [["m=audio", "5000"], ["m=video", "0"], ["m=application", "5000"]]
    assert "video" not in gateway.host.calls[0].sdp


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("nonsense", 400),
        ("[]", 400),
        ("[" * 5_000, 400),
        (json.dumps({"type": "answer", "sdp": "v=0"}), 400),
        (json.dumps({"type": "offer"}), 400),
        (json.dumps({"type": "offer", "sdp": 7}), 400),
        (json.dumps({"type": "offer", "sdp": "v=0"}), 422),
        ('{"type":"offer","sdp":"\\ud800"}', 400),
        (json.dumps({"type": "offer", "sdp": "v=0", "pc_id": "x"}), 404),
        (json.dumps({"type": "offer", "sdp": "v=0", "resume_token": 7}), 400),
        (json.dumps({"type": "offer", "sdp": "v=0", "resume_token": "x", "resume_from": "y"}), 400),
        (json.dumps({"type": "offer", "sdp": "hello", "pc_id": "gone", "restart_pc": True}), 400),
        ("x" * (2 * MAX_OFFER_BYTES + 1), 413),
    ],
)
async def test_a_wrong_offer_is_refused(gateway, body, status):
    response = await gateway.client.post("/api/offer", data=body, headers=JSON)
    assert response.status == status
    await error_of(response)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_form_of_another_page_cannot_make_an_offer(gateway, method):
    response = await gateway.client.request(
        method, "/api/offer", data='{"type":"offer"}', headers={"Content-Type": "text/plain"}
    )
    assert response.status == 415


async def test_a_further_offer_is_answered_on_the_same_connection(gateway):
    await post(gateway)
    quiet = OFFER.replace("a=sendrecv", "a=inactive")
    response = await post(gateway, sdp=quiet, pc_id="peer-1")
    assert (await response.json())["pc_id"] == "peer-1"
    [(peer, sdp)] = gateway.host.further
    assert peer == "peer-1"
    assert "a=inactive" in sdp
    assert len(gateway.host.calls) == 1


async def test_an_ice_restart_is_refused_and_the_connection_goes_on(gateway):
    await post(gateway)
    response = await post(gateway, sdp=OFFER.replace("15yP", "15yQ"), pc_id="peer-1")
    assert response.status == 422
    assert not gateway.host.further
    assert not gateway.host.ended


async def test_a_restart_ends_the_old_session_and_takes_its_place():
    gateway = await start(max_sessions=1)
    await post(gateway)
    gateway.host.tell("session-1", "connected")
    response = await post(gateway, pc_id="peer-1", restart_pc=True)
    assert (await response.json())["pc_id"] == "peer-2"
    assert gateway.host.ended == ["peer-1"]
    await gateway.client.close()


async def test_a_restart_that_resumes_ends_nothing(gateway):
    await post(gateway)
    response = await post(gateway, pc_id="peer-1", restart_pc=True, resume_token="session-1", resume_from=5)
    assert response.status == 200
    resume = gateway.host.calls[-1].resume
    assert (resume.token, resume.last_seq) == ("session-1", 5)
    assert not gateway.host.ended


async def test_candidates_trickle_in(gateway):
    await post(gateway)
    candidates = [
        {"candidate": CANDIDATE, "sdp_mid": "0", "sdp_mline_index": 0},
        {"candidate": "candidate:2 1 tcp 1 192.0.2.1 9 typ host tcptype active", "sdp_mid": "1"},
        {"candidate": "", "sdp_mid": "0"},
    ]
    response = await patch(gateway, pc_id="peer-1", candidates=candidates)
    assert response.status == 200
    [(peer, fragment)] = gateway.host.fragments
    assert peer == "peer-1"
    assert fragment.candidates == ("1 1 udp 2130706431 192.0.2.1 61764 typ host",)
    assert (fragment.ufrag, fragment.end) == ("15yP", True)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"pc_id": "none", "candidates": []}, 404),
        ({"candidates": []}, 400),
        ({"pc_id": "peer-1"}, 400),
        ({"pc_id": "peer-1", "candidates": {}}, 400),
        ({"pc_id": "peer-1", "candidates": ["x"]}, 400),
        ({"pc_id": "peer-1", "candidates": [{"candidate": 7}]}, 400),
        ({"pc_id": "peer-1", "candidates": [{"candidate": "hello"}]}, 400),
        ({"pc_id": "peer-1", "candidates": [{"candidate": ""}] * 65}, 400),
        ({"pc_id": "peer-1", "candidates": [{"candidate": CANDIDATE.replace("15yP", "x")}]}, 422),
    ],
)
async def test_wrong_candidates_are_refused(gateway, body, status):
    await post(gateway)
    response = await patch(gateway, **body)
    assert response.status == status
    await error_of(response)
    assert not gateway.host.fragments


async def test_a_connection_that_has_ended_is_told(gateway):
    await post(gateway)
    gateway.host.fails = NotFound("gone")
    for response in (
        await patch(gateway, pc_id="peer-1", candidates=[]),
        await post(gateway, pc_id="peer-1"),
    ):
        assert response.status == 404


async def test_a_key_is_needed_where_keys_are():
    gateway = await start(api_keys=(KEY,))
    assert (await post(gateway)).status == 401
    response = await gateway.client.post(
        "/api/offer", json={"type": "offer", "sdp": OFFER}, headers={"Authorization": f"Bearer {KEY}"}
    )
    assert response.status == 200
    assert (await patch(gateway, pc_id="peer-1", candidates=[])).status == 401
    await gateway.client.close()
