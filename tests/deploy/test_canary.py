"""``rtc-stt canary`` with two real Prometheus, which hold series made for it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rtc_stt.cli import main
from tests.e2e.support import rtc_stt
from tools.ports import free_port
from tools.scrape.prometheus import STEP_S, Api, backfill, started

pytestmark = pytest.mark.e2e

MINUTES = 25
SAMPLES = MINUTES * 60 // STEP_S


def service(
    version: str,
    *,
    rate: float = 1.0,
    slow: float = 0.02,
    failing: float = 0.0,
    fallback_failing: float = 0.0,
    up: int = 1,
    since: int = 0,
) -> dict[str, Sequence[float]]:
    """What a service with so many finals and requests a second would have told.

    Args:
        slow: the share of them that takes more than half a second; others take less than a fifth.
        failing: the share of requests that fails.
        fallback_failing: the share of second opinions, of which every fifth request has one.
        since: the sample at which it has begun to be so; until then all is well.
    """
    mine = f'job="rtc-stt",role="gateway",version="{version}",instance="{version}:8080"'

    def counter(each_s: float, bad: float = 1.0) -> list[float]:
        return [each_s * STEP_S * (bad * max(n - since, 0)) for n in range(SAMPLES)]

    def both(each_s: float, before: float, after: float) -> list[float]:
        told = (min(n, since) * before + max(n - since, 0) * after for n in range(SAMPLES))
        return [each_s * STEP_S * number for number in told]

    made: dict[str, Sequence[float]] = {
        f"up{{{mine}}}": [up] * SAMPLES,
        f"process_start_time_seconds{{{mine}}}": [1_700_000_000] * SAMPLES,
        f'stt_requests_total{{{mine},endpoint="/v1/transcribe"}}': both(rate, 1, 1),
        f"rtc_stt_session_seconds_count{{{mine}}}": both(rate / 5, 1, 1),
        f'stt_requests_exceptions_total{{{mine},endpoint="/v1/transcribe",type="internal"}}': counter(
            rate, failing
        ),
        f'stt_fallback_total{{{mine},result="used"}}': both(rate / 5, 1, 1 - fallback_failing),
        f'stt_fallback_total{{{mine},result="failed"}}': counter(rate / 5, fallback_failing),
    }
    for metric, labels in (
        ("rtc_stt_endpoint_to_final_seconds", f'{mine},tier="fast"'),
        ("stt_request_total_seconds", mine),
    ):
        quick, all_of_them = both(rate, 0.98, 1 - slow), both(rate, 1, 1)
        bounds = {"0.2": quick, "0.5": quick, "1.0": all_of_them, "+Inf": all_of_them}
        made |= {f'{metric}_bucket{{{labels},le="{bound}"}}': values for bound, values in bounds.items()}
        made[f"{metric}_count{{{labels}}}"] = all_of_them
    return made


@contextlib.contextmanager
def holding(folder: Path, *services: dict[str, Sequence[float]]) -> Iterator[Api]:
    folder.mkdir(exist_ok=True)
    backfill(folder, {name: values for made in services for name, values in made.items()}, time.time())
    with started(folder) as api:
        yield api


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A Prometheus of its own for the old version."""
    with holding(tmp_path_factory.mktemp("baseline"), service("1")) as api:
        yield api


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Another, for new versions of all kinds, and one that is like the old one."""
    made = [
        service("good"),
        service("slow", slow=0.2),
        service("slow-of-late", slow=0.2, since=SAMPLES - 4),
        service("failing", failing=0.1),
        service("alone", fallback_failing=0.3),
        service("silent", rate=0),
        service("quiet", rate=0.01),
        service("away", up=0),
    ]
    with holding(tmp_path_factory.mktemp("canaries"), *made) as api:
        yield api


KINDS = {
    "good": (0, "go on", "slow, endpoint to final: p95 0.1"),
    "slow": (1, "abort", "slow, endpoint to final: p95 0.8"),
    "slow-of-late": (0, "go on", ""),
    "failing": (1, "abort", "errors: 8."),
    "alone": (1, "abort", "fallback: 30.00%"),
    "silent": (3, "cannot judge", "too little to judge by, 0 events"),
    "quiet": (3, "cannot judge", "too little"),
    "away": (1, "abort", "away"),
    "never-begun": (3, "cannot judge", "knows no process"),
}


@pytest.mark.parametrize("version", KINDS)
def test_two_prometheus(
    baseline: Api, canaries: Api, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    code, verdict, says = KINDS[version]
    match = ["--canary-match", f'job="rtc-stt",version="{version}"']
    found = main(["canary", "--baseline", baseline.url, "--canary", canaries.url, *match, "--once"])
    told = capsys.readouterr().out
    assert (found, told.splitlines()[0]) == (code, f"{verdict}:"), told
    assert says in told


def test_two_sets_of_labels_in_one(canaries: Api, capsys: pytest.CaptureFixture[str]) -> None:
    sides = ["--baseline-match", 'version="good"', "--canary-match", 'version="slow"']
    assert main(["canary", "--url", canaries.url, *sides, "--once", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "abort"
    assert any(reason.startswith("slow, recordings") for reason in told["reasons"])


def test_who_watches_ends_as_soon_as_something_speaks_against_it(canaries: Api) -> None:
    sides = ["--baseline-match", 'version="good"', "--canary-match", 'version="failing"']
    begun = time.monotonic()
    done = rtc_stt("canary", "--url", canaries.url, *sides, "--for", "10m")
    assert done.returncode == 1, done.stdout + done.stderr
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--canary", "http://u:secret@127.0.0.1:{gone}"], 3, "the canary's Prometheus cannot be asked"),
        (["--baseline", "http://127.0.0.1:{gone}", "--canary-match", 'version="good"'], 3, "the baseline's"),
        (["--canary-match", "version=", "--url", "{url}"], 3, "refuses the question"),
        (["--canary-match", 'version="good"', "--url", "{url}/-/healthy?"], 3, "not answer as a Prometheus"),
        (["--url", "{url}"], 2, "are the same"),
    ],
)
def test_what_cannot_be_asked(
    canaries: Api, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    gone = free_port()
    filled = [argument.replace("{gone}", str(gone)).replace("{url}", canaries.url) for argument in arguments]
    assert main(["canary", "--url", canaries.url, *filled, "--once"]) == code
    told = capsys.readouterr()
    assert says in told.out + told.err
    assert "secret" not in told.out + told.err


def test_a_token_is_shown_and_kept_to_itself(
    tmp_path: Path, canaries: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    sides = ["--baseline-match", 'version="good"', "--canary-match", 'version="slow"', "--url", canaries.url]
    token.write_text("a-token-of-prometheus\n")
    assert main(["canary", *sides, "--once", "--token-file", str(token)]) == 1
    token.write_text("two\nlines")
    assert main(["canary", *sides, "--once", "--token-file", str(token)]) == 2
    assert main(["canary", *sides, "--once", "--token-file", str(tmp_path / "none")]) == 2
    told = capsys.readouterr()
    assert "a-token-of-prometheus" not in told.out + told.err


@pytest.mark.parametrize(
    "wrong", [["--for", "10"], ["--for", "1s"], ["--slower", "0"], ["--min-events", "x"]]
)
def test_wrong_usage_is_no_verdict(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["canary", *wrong])
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err
