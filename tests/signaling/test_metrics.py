"""What Prometheus finds after a session."""

from __future__ import annotations

import dataclasses
import re

import pytest

from rtc_stt.events import (
    Decision,
    DropReason,
    Reason,
    Route,
    SpeechStarted,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.hypothesis import Tier, Urgency
from signaling.metrics import Metrics
from tests.harness import request
from tests.test_wire import FINAL

SECRET = "the-words-of-a-user"


async def scrape(metrics: Metrics) -> str:
    response = await metrics.scrape(None)  # type: ignore[arg-type]
    assert response.headers["Content-Type"].startswith("text/plain")
    assert isinstance(response.body, bytes)
    return response.body.decode()


@pytest.fixture
def metrics() -> Metrics:
    """After a little of everything."""
    told = Metrics()
    told.session_opened("webrtc")
    told.session_opened("file")
    told.audio_received(2.5)
    told.event_sent(SpeechStarted(at_ms=0, utterance_id=1, audio_start_ms=0))
    told.first_partial(400)
    told.event_sent(
        TranscriptPartial(
            at_ms=0, utterance_id=1, revision=1, text=SECRET, stable_chars=0, audio_end_ms=0, language="en"
        )
    )
    told.event_sent(dataclasses.replace(FINAL, text=SECRET, model=SECRET))
    told.event_sent(dataclasses.replace(FINAL, route=Route(Decision.ACCEPTED), tier=Tier.FAST))
    told.event_sent(
        dataclasses.replace(
            FINAL,
            route=Route(Decision.NO_ACCURATE_TIER, (Reason.FEW_WORDS, Reason.LOW_LOGPROB)),
            tier=Tier.FAST,
        )
    )
    told.event_sent(UtteranceDropped(at_ms=0, utterance_id=2, reason=DropReason.NO_SPEECH))
    told.speculated(used=2, wasted=1)
    told.decode_started(request(SECRET), 0.01)
    told.decode_dropped(request(SECRET, urgency=Urgency.PARTIAL))
    told.decode_dropped(request(SECRET, urgency=Urgency.EAGER))
    told.queue_changed(Tier.FAST, 3, 1)
    told.session_closed("webrtc", 12.0)
    return told


@pytest.mark.parametrize(
    "line",
    [
        'rtc_stt_sessions{transport="webrtc"} 0.0',
        'rtc_stt_sessions{transport="file"} 1.0',
        "rtc_stt_session_seconds_count 1.0",
        "rtc_stt_audio_seconds_total 2.5",
        'rtc_stt_endpoint_to_final_seconds_count{tier="fast"} 2.0',
        'rtc_stt_endpoint_to_final_seconds_count{tier="accurate"} 1.0',
        "rtc_stt_first_partial_seconds_sum 0.4",
        'rtc_stt_partials_total{result="emitted"} 1.0',
        'rtc_stt_partials_total{result="stale"} 1.0',
        'rtc_stt_routes_total{decision="accepted",reason="none"} 1.0',
        'rtc_stt_routes_total{decision="no_accurate_tier",reason="few_words"} 1.0',
        'rtc_stt_routes_total{decision="no_accurate_tier",reason="low_logprob"} 1.0',
        'rtc_stt_utterances_dropped_total{reason="no_speech"} 1.0',
        'rtc_stt_speculations_total{result="used"} 2.0',
        'rtc_stt_speculations_total{result="wasted"} 1.0',
        "stt_queue_wait_seconds_count 1.0",
        'stt_queue_depth{tier="fast"} 3.0',
        'stt_in_flight{tier="fast"} 1.0',
    ],
)
async def test_the_metrics_of_the_contract_are_there(metrics, line):
    assert line in (await scrape(metrics)).splitlines()


async def test_no_label_holds_what_a_user_said_or_is(metrics):
    assert SECRET not in await scrape(metrics)


async def test_labels_are_of_few_values(metrics):
    labels = set(re.findall(r'(\w+)="', await scrape(metrics)))
    assert labels <= {"transport", "tier", "result", "decision", "reason", "le"}


async def test_two_servers_in_one_process_count_for_themselves(metrics):
    assert "rtc_stt_audio_seconds_total 0.0" in (await scrape(Metrics())).splitlines()
