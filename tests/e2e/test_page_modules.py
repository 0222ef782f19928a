"""The pure modules of the page, in the browser that they are written for. There is no server here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, async_playwright

import web_demo

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

ORIGIN = "http://page.test"

OFFER = "\r\n".join(
    [
        "v=0",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "a=ice-ufrag:EsAw",
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=mid:1",
        "a=ice-ufrag:EsAw",
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        "",
    ]
)


async def hand_over(route: Route) -> None:
    path = web_demo.ROOT / route.request.url.removeprefix(f"{ORIGIN}/web/")
    if path.is_file():
        await route.fulfill(path=path, content_type="text/javascript")
    else:
        await route.fulfill(body="<!doctype html>", content_type="text/html")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(chromium: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, headless=True, args=["--disable-gpu"]
        )
        page = await browser.new_page()
        await page.route("**/*", hand_over)
        await page.goto(ORIGIN)
        yield page
        await browser.close()


async def call(page: Page, module: str, expression: str, argument: object = None) -> Any:
    """Evaluate an expression on a module ``m`` and an argument ``a``."""
    source = f"async a => {{ const m = await import('/web/js/{module}.js'); return {expression}; }}"
    return await page.evaluate(source, argument)


# ── reconnect.js ────────────────────────────────────────────────────────────


async def test_the_wait_between_tries_doubles_to_a_limit_and_is_left_to_chance_by_half(page: Page) -> None:
    expression = "[0, 1, 2, 3, 4, 5, 6, 20].map(attempt => m.backoffMs(attempt, a))"
    assert await call(page, "reconnect", expression, 0) == [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]
    assert await call(page, "reconnect", expression, 1) == [125, 250, 500, 1000, 2000, 4000, 4000, 4000]


@pytest.mark.parametrize(
    ("failure", "state", "expected"),
    [
        ({"status": None}, {}, ("again", 1000)),
        ({"status": 500}, {}, ("again", 1000)),
        ({"status": 503, "retryAfterMs": 3000}, {}, ("again", 3000)),
        ({"status": 503, "retryAfterMs": 10}, {}, ("again", 1000)),
        ({"status": 503, "retryAfterMs": 10**9}, {}, ("again", 60_000)),
        ({"status": 429, "retryAfterMs": 2000}, {}, ("again", 2000)),
        ({"status": 404}, {"resuming": True}, ("anew", 0)),
        ({"status": 404}, {"resuming": False}, ("over", 0)),
        ({"status": 401}, {}, ("over", 0)),
        ({"status": 403}, {"resuming": True}, ("over", 0)),
        ({"status": None}, {"awayMs": 6 * 60_000}, ("over", 0)),
    ],
)
async def test_what_follows_a_try_that_failed(
    page: Page, failure: dict[str, Any], state: dict[str, Any], expected: tuple[str, int]
) -> None:
    told = await call(
        page,
        "reconnect",
        "m.afterFailure(...a)",
        [
            {"retryAfterMs": 0} | failure,
            {"attempt": 2, "awayMs": 5000, "resuming": False, "random": 0} | state,
        ],
    )
    assert (told["action"], told["afterMs"]) == expected


@pytest.mark.parametrize(
    ("beat", "expected"),
    [
        ({}, {"slept": False, "silent": False, "ping": False}),
        ({"sinceLastPingMs": 5000}, {"slept": False, "silent": False, "ping": True}),
        ({"unansweredMs": 10_000}, {"slept": False, "silent": False, "ping": False}),
        ({"unansweredMs": 11_001}, {"slept": False, "silent": True, "ping": False}),
        ({"unansweredMs": 3001, "patienceMs": 3000}, {"slept": False, "silent": True, "ping": False}),
        # A machine that slept has no old pings to complain of: it asks anew.
        ({"sinceLastBeatMs": 60_000, "unansweredMs": 60_000}, {"slept": True, "silent": False, "ping": True}),
    ],
)
async def test_a_heartbeat_tells_silence_from_sleep(
    page: Page, beat: dict[str, Any], expected: dict[str, bool]
) -> None:
    usual = {"sinceLastBeatMs": 1000, "sinceLastPingMs": 1000, "unansweredMs": None, "patienceMs": 11_000}
    assert await call(page, "reconnect", "m.heartbeat(a)", usual | beat) == expected


async def test_a_connection_that_dies_at_once_is_backed_off_from(page: Page) -> None:
    assert await call(page, "reconnect", "[m.attemptAfterLife(3, 500), m.attemptAfterLife(3, 20000)]") == [
        4,
        0,
    ]


async def test_a_session_that_ended_for_want_of_a_connection_is_begun_anew(page: Page) -> None:
    reasons = ["drained", "connection_lost", "stopped", "deleted", "abuse", "overloaded"]
    assert await call(page, "reconnect", "a.filter(m.comesBackAfter)", reasons) == reasons[:2]


async def test_why_we_are_away_is_one_of_few_words(page: Page) -> None:
    cases = [
        ({"status": None, "problemId": None}, True, "network"),
        ({"status": None, "problemId": "ice-failed"}, True, "network"),
        ({"status": None, "problemId": "server-unreachable"}, True, "server"),
        ({"status": 502, "problemId": "refused"}, True, "server"),
        ({"status": 503, "problemId": "server-full"}, True, "full"),
        ({"status": None, "problemId": "server-unreachable"}, False, "offline"),
    ]
    told = await call(
        page, "reconnect", "a.map(([f, online]) => m.whyAway(f, online))", [c[:2] for c in cases]
    )
    assert told == [expected for *_, expected in cases]


# ── problems.js ────────────────────────────────────────────────────────────


async def test_a_quota_is_told_as_what_it_is_at_the_door_and_in_the_session(page: Page) -> None:
    error = {"type": "quota_exceeded", "message": "that was all", "request_id": "1"}
    refused = (
        "(await m.fromResponse(new Response(JSON.stringify({error: a}), "
        '{status: 429, headers: {"Retry-After": "7200"}}))).text'
    )
    for expression in (refused, "m.fromErrorEvent({code: a.type, message: a.message}).text"):
        told = await call(page, "problems", expression, error)
        assert (told["id"], told["what"]) == ("quota-used-up", "that was all")
        assert "00:00 UTC" in told["mend"][0]
    rate = refused.replace("error: a", 'error: {type: "too_many", message: "slow down"}')
    assert (await call(page, "problems", rate, error))["id"] == "rate-limited"


# ── sdp_fragment.js ────────────────────────────────────────────────────────────


async def test_a_fragment_names_the_bundled_line_and_its_candidates(page: Page) -> None:
    found = ["candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host"]
    fragment = await call(page, "sdp_fragment", "m.sdpFragment(a[0], a[1], false)", [OFFER, found])
    assert fragment.split("\r\n") == [
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "a=ice-ufrag:EsAw",
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
        f"a={found[0]}",
        "",
    ]
    last = await call(page, "sdp_fragment", "m.sdpFragment(a, [], true)", OFFER)
    assert last.split("\r\n")[-2:] == ["a=end-of-candidates", ""]
    assert await call(page, "sdp_fragment", "m.firstMid(a)", OFFER) == "0"


# ── stats.js ────────────────────────────────────────────────────────────


async def test_figures_of_the_network_come_from_the_selected_pair_and_two_reports(page: Page) -> None:
    report = [
        {"id": "C", "type": "codec", "mimeType": "audio/opus"},
        {
            "id": "O",
            "type": "outbound-rtp",
            "kind": "audio",
            "codecId": "C",
            "timestamp": 3000,
            "bytesSent": 9000,
        },
        {
            "id": "R",
            "type": "remote-inbound-rtp",
            "kind": "audio",
            "fractionLost": 0.05,
            "jitter": 0.004,
            "roundTripTime": 0.021,
        },
        {"id": "T", "type": "transport", "selectedCandidatePairId": "P"},
        {"id": "Q", "type": "candidate-pair", "localCandidateId": "X"},
        {"id": "P", "type": "candidate-pair", "localCandidateId": "L", "currentRoundTripTime": 0.5},
        {"id": "L", "type": "local-candidate", "candidateType": "relay", "relayProtocol": "tls"},
    ]
    before = {"sent": {"atMs": 1000, "bytes": 3000}}
    figures = await call(page, "stats", "m.networkFigures(...a)", [report, before])
    assert figures == {
        "codec": "opus",
        "bitRateKbps": 24,
        "lossShare": 0.05,
        "jitterMs": 4,
        "roundTripMs": 21,
        "path": "relay",
        "protocol": "tls",
        "sent": {"atMs": 3000, "bytes": 9000},
    }
    nothing = await call(page, "stats", "[m.networkFigures([], m.NO_FIGURES), m.NO_FIGURES]")
    assert nothing[0] == nothing[1]
    words = dict(await call(page, "words", "m.networkInWords(a, {lostMs: 1240, concealedMs: 0})", figures))
    assert words["Path"] == "through a TURN relay, TLS"
    assert words["Missing"] == "1.2 s"
    assert words["Packets lost"] == "5.0 %"


# ── transcript.js ────────────────────────────────────────────────────────────


def final(number: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "transcript.final",
        "seq": number,
        "utterance_id": number,
        "text": f"text {number}",
    } | more


async def replay(page: Page, *events: dict[str, Any]) -> dict[str, Any]:
    return await call(page, "transcript", "a.reduce(m.reduce, m.connected(m.EMPTY))", list(events))


async def test_a_gap_is_told_in_its_place_and_a_tiny_one_not_at_all(page: Page) -> None:
    resumed = {"type": "session.resumed", "gap_ms": 1210, "resent": 0}
    items = (await replay(page, final(1), resumed | {"seq": 2}, final(3)))["items"]
    assert [item.get("text") for item in items] == [None, "1.2 s of audio are missing here.", None]
    assert len((await replay(page, final(1), resumed | {"seq": 2, "gap_ms": 40}))["items"]) == 1


async def test_where_another_server_goes_on_what_was_open_is_lost_and_said_to_be(page: Page) -> None:
    partial = {"type": "transcript.partial", "seq": 1, "utterance_id": 1, "text": "one", "stable_chars": 0}
    moved = {"type": "session.resumed", "seq": 2, "gap_ms": 900, "resent": 0, "moved": True}
    items = (await replay(page, partial, moved, final(3, utterance_id=2)))["items"]
    assert [item.get("state") for item in items if item["kind"] == "utterance"] == ["dropped", "final"]
    assert [item["text"] for item in items if item["kind"] == "notice"] == [
        "Another server goes on: what was just being said is lost."
    ]


async def test_what_is_sent_again_is_shown_once_and_an_open_utterance_goes_on(page: Page) -> None:
    partial = {"type": "transcript.partial", "seq": 2, "utterance_id": 2, "text": "so", "stable_chars": 0}
    resumed = {"type": "session.resumed", "seq": 3, "gap_ms": 0}
    transcript = await replay(page, final(1), partial, final(1), partial, resumed, final(4, utterance_id=2))
    assert [item["state"] for item in transcript["items"]] == ["final", "final"]


async def test_a_final_over_a_hole_says_so_once(page: Page) -> None:
    warning = {"type": "warning", "seq": 1, "code": "audio_gap", "message": "some audio is missing"}
    items = (await replay(page, warning, final(2, lost_ms=400, concealed_ms=160)))["items"]
    assert [item["kind"] for item in items] == ["utterance"]
    words = await call(
        page, "words", "a.map(m.unheardInWords)", [items[0]["final"], final(3), {"lost_ms": 20}]
    )
    assert words == [
        "Parts of this were not heard: 0.4 s missing and 0.2 s filled in",
        "",
        "Parts of this were not heard: 0.1 s missing",
    ]
    assert await call(page, "transcript", "m.unheard(a)", {"items": items}) == {
        "concealedMs": 160,
        "lostMs": 400,
    }


async def test_a_new_session_keeps_what_was_shown_and_counts_anew(page: Page) -> None:
    transcript = await call(
        page,
        "transcript",
        "a.slice(1).reduce(m.reduce, m.begunAnew(m.reduce(m.connected(m.EMPTY), a[0])))",
        [final(1), final(1, text="of the other one")],
    )
    shown = [item.get("text") or item["stable"] for item in transcript["items"]]
    assert shown == ["text 1", "The session before had ended: a new one begins here.", "of the other one"]


# ── saved_session.js ────────────────────────────────────────────────────────────


async def test_a_saved_session_is_given_once_and_not_after_its_time(page: Page) -> None:
    taken = "(m.save({resume: {token: 't', lastSeq: 3, seconds: 9}, until: Date.now() + a, transcript: {}}),"
    assert (await call(page, "saved_session", f"{taken} m.take())", 5000))["resume"]["token"] == "t"
    assert await call(page, "saved_session", "m.take()") is None
    assert await call(page, "saved_session", f"{taken} m.take())", -1) is None
    assert await call(page, "saved_session", f"{taken} m.forget(), m.take())", 5000) is None
    too_long = "(m.save({until: Infinity, transcript: 'x'.repeat(3e6)}), m.take())"
    assert await call(page, "saved_session", too_long) is None


# ── verdicts.js ────────────────────────────────────────────────────────────

OPEN = {"problem": None, "path": "host", "protocol": "udp", "openedMs": 80, "roundTripsMs": [3, 2, 9]}
NO_PATH = OPEN | {"problem": {"id": "ice-failed", "what": "", "mend": []}, "roundTripsMs": []}
NO_RELAY = {"servers": 0, "relayFound": False, "errors": []}
FINE: dict[str, Any] = {
    "server": {"status": 200, "ms": 3},
    "ready": {"status": 200, "load": "normal", "degraded": []},
    "key": {"required": False, "given": False, "status": 201},
    "microphone": {"problem": None, "level": 0.7, "silent": False},
    "stun": {"servers": 0, "found": False, "errors": []},
    "direct": OPEN,
    "turn": OPEN | NO_RELAY | {"roundTripsMs": []},
}

JUDGE = """(() => {
  const verdicts = Object.fromEntries(m.STEPS.map(({id}) => [id, m.verdictOf(id, a)]));
  return {verdicts, summary: m.summary(verdicts),
          report: m.report(verdicts, {version: '1', browser: 'B', at: 'now'})};
})()"""


@pytest.mark.parametrize(
    ("facts", "states", "works"),
    [
        ({}, {"stun": "skipped", "turn": "skipped", "udp": "ok", "channel": "ok"}, True),
        ({"server": {"status": None, "ms": 8000}}, {"server": "failed"}, False),
        ({"server": {"status": 502, "ms": 5}}, {"server": "failed"}, False),
        ({"ready": {"status": 503}}, {"ready": "failed"}, False),
        ({"key": {"required": True, "given": False, "status": 401}}, {"key": "failed"}, False),
        ({"key": {"required": False, "given": False, "status": 403}}, {"key": "failed"}, False),
        ({"microphone": {"problem": None, "level": 0, "silent": True}}, {"microphone": "failed"}, False),
        ({"microphone": {"problem": None, "level": 0.1, "silent": False}}, {"microphone": "ok"}, True),
        ({"stun": {"servers": 1, "found": True, "errors": [701]}}, {"stun": "ok"}, True),
        ({"stun": {"servers": 1, "found": False, "errors": []}}, {"stun": "ok"}, True),
        ({"stun": {"servers": 1, "found": False, "errors": [701]}}, {"stun": "failed"}, True),
        ({"direct": NO_PATH}, {"udp": "failed", "channel": "skipped"}, False),
        (
            {"direct": NO_PATH, "turn": OPEN | NO_RELAY | {"servers": 1}},
            {"turn": "ok", "channel": "ok"},
            True,
        ),
        (
            {
                "direct": OPEN
                | {"problem": {"id": "channel-timeout", "what": "", "mend": []}, "roundTripsMs": []}
            },
            {"udp": "ok", "channel": "failed"},
            False,
        ),
        ({"turn": NO_PATH | NO_RELAY | {"servers": 1, "errors": [401]}}, {"turn": "failed"}, True),
        ({"turn": NO_PATH | NO_RELAY | {"servers": 1, "relayFound": True}}, {"turn": "failed"}, True),
        ({"stun": None}, {"stun": "skipped"}, True),
        ({"direct": None, "turn": None}, {"udp": "skipped", "turn": "skipped", "channel": "skipped"}, False),
    ],
)
async def test_the_diagnosis_of_what_was_measured(
    page: Page, facts: dict[str, Any], states: dict[str, str], works: bool
) -> None:
    told = await call(page, "verdicts", JUDGE, FINE | facts)
    verdicts = told["verdicts"]
    assert {step: verdicts[step]["state"] for step in states} == states
    assert told["summary"]["ok"] is works
    for verdict in verdicts.values():
        assert verdict["what"]
        assert bool(verdict["mend"]) or verdict["state"] != "failed", "what failed says what to do"
    assert told["report"].count("\n[") == len(verdicts)
