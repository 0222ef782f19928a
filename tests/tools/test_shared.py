"""How it is judged what hammered gateways granted."""

from __future__ import annotations

from pathlib import Path

from tools.shared.hammering import Hammered
from tools.shared.limits import BURST, _memory, _summary, _total
from tools.shared.redis_server import running


def hammered(granted: int, refused: int, seconds: float = 40.0) -> Hammered:
    return Hammered(
        "k",
        granted,
        refused,
        began=10.0,
        answered=10.5,
        sent=9.5 + seconds,
        ended=10.0 + seconds,
        latencies_s=[0.001, 0.003],
    )


def test_the_worst_key_is_told() -> None:
    exact, generous = hammered(BURST + 160, 500), hammered(BURST + 169, 500)
    told = _summary([exact, generous, exact], [hammered(3, 1)], rate=4.0)
    assert told["worst_error"] == 0.05
    assert (told["keys"], told["granted"], told["asked"]) == (3, 549, 2_049)
    assert (told["allowed_at_least"], told["allowed_at_most"]) == (3 * 176, 3 * 180)
    assert (told["neighbours_asked"], told["neighbours_refused"]) == (4, 1)
    assert told["answer_ms"] == {"p50": 1.0, "p95": 3.0, "p99": 3.0}
    assert _summary([exact, hammered(176, 9)], [], rate=4.0)["worst_error"] == 0
    assert _summary([hammered(167, 9)], [], rate=4.0)["worst_error"] == 0.05


def test_failures_are_summed_over_what_was_asked() -> None:
    text = '# HELP a_total x\na_total{what="limits"} 2.0\na_total{what="usage"} 1.0\nab_total{} 9.0\n'
    assert _total(text, "a_total") == 3.0
    assert _total("", "a_total") == 0.0


def test_what_a_session_takes_of_memory(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        told = _memory(server)
    assert 50 < told["rate_of_a_key"] < 300
    assert 50 < told["place_of_a_session"] < 300
