"""What the lab's network does to datagrams, and to the candidates that lead through it."""

from __future__ import annotations

import itertools

from rtc_stt.bench.link import Conditions, Link, is_media, reroute

RTP, STUN, DTLS = b"\x80rtp", b"\x00\x01stun", b"\x16dtls"

OFFER = "\r\n".join([
    "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0 1",
    "m=audio 5000 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 10.0.0.1", "a=mid:0",
    "a=candidate:1 1 udp 2130706431 fd00::2 5001 typ host",
    "a=candidate:2 1 udp 2130706431 10.0.0.1 5000 typ host",
    "a=candidate:3 1 tcp 2130706431 10.0.0.1 9 typ host tcptype active", "a=end-of-candidates",
    "m=application 5000 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 10.0.0.1", "a=mid:1",
    "a=candidate:2 1 udp 2130706431 10.0.0.1 5000 typ host", "",
])  # fmt: skip


def arrivals(conditions: Conditions, count: int = 1_000, datagram: bytes = RTP) -> list[tuple[float, int]]:
    """When each copy arrives, and which it is, of datagrams sent every 20 ms."""
    link = Link(conditions)
    return sorted((at, number) for number in range(count) for at in link.pass_on(datagram, number * 0.02))


def test_a_perfect_line_passes_everything_at_once() -> None:
    assert arrivals(Conditions(), 10) == [(n * 0.02, n) for n in range(10)]


def test_a_pattern_loses_what_it_says() -> None:
    assert [n for _, n in arrivals(Conditions(pattern="..x"), 7)] == [0, 1, 3, 4, 6]


def test_loss_is_as_often_as_asked_and_can_be_repeated() -> None:
    once, again = (arrivals(Conditions(loss=0.1, seed=7)) for _ in range(2))
    assert once == again
    assert 860 < len(once) < 940
    assert once != arrivals(Conditions(loss=0.1, seed=8))


def test_jitter_delays_and_keeps_the_order() -> None:
    got = arrivals(Conditions(delay_s=0.1, jitter_s=0.05))
    assert [n for _, n in got] == list(range(1_000))
    late = [at - n * 0.02 for at, n in got]
    assert min(late) >= 0.1 - 1e-9
    assert 0.14 < max(late) < 0.16


def test_reordered_ones_let_the_next_pass() -> None:
    link = Link(Conditions(reorder=0.1))
    order = [n for _, n in sorted((at, n) for n in range(1_000) for at in link.pass_on(RTP, n * 0.02))]
    assert sorted(order) == list(range(1_000))
    swapped = sum(before > after for before, after in itertools.pairwise(order))
    assert 50 < link.reordered < 150
    assert swapped > 0.7 * link.reordered


def test_doubled_ones_come_twice() -> None:
    link = Link(Conditions(duplicate=0.2))
    copies = [len(link.pass_on(RTP, n * 0.02)) for n in range(1_000)]
    assert set(copies) == {1, 2}
    assert copies.count(2) == link.doubled
    assert 150 < link.doubled < 250


def test_only_media_suffers_unless_everything_is_to() -> None:
    assert [is_media(datagram) for datagram in (RTP, STUN, DTLS, b"")] == [True, False, False, False]
    assert len(arrivals(Conditions(loss=1.0), 100, STUN)) == 100
    assert not arrivals(Conditions(loss=1.0, media_only=False), 100, STUN)


def test_nothing_passes_a_black_hole() -> None:
    link = Link()
    link.dead = True
    assert not link.pass_on(RTP, 0.0)
    assert not link.pass_on(STUN, 0.0)
    link.dead = False
    assert link.pass_on(STUN, 1.0) == [1.0]


def test_a_description_leads_through_the_relay_alone() -> None:
    asked = []

    def via(host: str, port: int) -> tuple[str, int]:
        asked.append((host, port))
        return "127.0.0.9", 7777

    sdp = reroute(OFFER, via)
    assert asked == [("10.0.0.1", 5000)]
    assert sdp.count("a=candidate:") == 1
    assert "a=candidate:1 1 udp 2130706431 127.0.0.9 7777 typ host\r\na=end-of-candidates\r\n" in sdp
    assert "10.0.0.1" not in sdp
    assert "m=audio 7777 UDP/TLS/RTP/SAVPF 96" in sdp
    assert sdp.index("a=candidate:") < sdp.index("m=application")


def test_a_description_without_a_candidate_gets_one() -> None:
    bare = "\r\n".join(line for line in OFFER.splitlines() if not line.startswith("a=cand")) + "\r\n"
    asked = []
    sdp = reroute(bare, lambda host, port: asked.append((host, port)) or ("127.0.0.9", 7777))
    assert asked == [("", 0)]
    assert sdp.count("a=candidate:") == 1
