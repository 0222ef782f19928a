"""One audio stream: what is asked and told, when, and about which audio."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from rtc_stt.audio import WINDOW, ms_to_samples, samples_to_ms
from rtc_stt.config import Endpointing, Routing, StreamOptions
from rtc_stt.events import (
    Decision,
    DropReason,
    Finalized,
    Reason,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.hypothesis import Tier, Urgency
from rtc_stt.load import Effort
from rtc_stt.recognizer import Speculations
from rtc_stt.testing import Said
from rtc_stt.utterance import FIRST_PARTIAL_MS
from tests.harness import SILENCE, SPEECH, TRUSTING, Line, conclusions, only, said, types

WORDS = "please turn on the lights now"  # 500 to 2300 ms
END_MS = 2_300
PAUSED_MS = END_MS + 300  # speculate_after_ms is over
STOPPED_MS = END_MS + 600  # min_silence_ms is over
UNSURE = {"avg_logprob": -2.0}


def line(text: str = WORDS, **how: object) -> Line:
    return Line(said(text), **how)  # type: ignore[arg-type]


# ── Where an utterance begins ──


def test_silence_asks_and_tells_nothing():
    quiet = Line()
    quiet.hear(60_000)
    assert (quiet.requests, quiet.told) == ([], [])
    assert quiet.recognizer.is_idle
    assert quiet.recognizer.next_deadline() is None


@pytest.mark.parametrize("preroll_ms", [300, 400, 1_000])
def test_what_is_decoded_begins_with_the_preroll_before_speech(preroll_ms):
    heard = Line(said(WORDS, start_ms=1_500), preroll_ms=preroll_ms)
    heard.hear(2_500)
    started = only(heard.told, SpeechStarted)[0]
    assert 1_500 - 32 <= started.audio_start_ms <= 1_500
    first = heard.requests[0]
    assert abs(started.audio_start_ms - samples_to_ms(first.audio_start) - preroll_ms) <= 1
    np.testing.assert_array_equal(first.audio, heard.source[first.audio_start : first.audio_end])


def test_the_preroll_is_clamped_to_the_start_of_the_stream():
    heard = Line(said(WORDS, start_ms=100))
    heard.hear(1_000)
    assert heard.requests[0].audio_start == 0


def test_the_preroll_is_clamped_to_the_previous_utterance():
    heard = Line([*said("one two three", 500), *said("four five six", 1_920)], min_silence_ms=300)
    heard.hear(4_000)
    first, second = heard.asked(Urgency.FINAL)
    stopped = samples_to_ms(first.audio_end)
    assert stopped <= samples_to_ms(second.audio_start) < 1_920
    # 400 ms before the second word is within the first utterance's hangover
    assert samples_to_ms(second.audio_start) > 1_920 - 400


# ── Partials ──


def test_the_first_partial_is_asked_for_after_a_short_word():
    heard = line()
    heard.hear(2_000)
    [started] = only(heard.told, SpeechStarted)
    first = samples_to_ms(heard.asked(Urgency.PARTIAL)[0].audio_end)
    assert 0 <= first - started.audio_start_ms - FIRST_PARTIAL_MS <= 32


def test_once_text_is_shown_partials_are_asked_for_at_the_interval():
    heard = line(options=StreamOptions(partial_interval_ms=320))
    heard.hear(800)
    heard.answer(heard.last(Urgency.PARTIAL))
    heard.hear(2_000)
    ends = [samples_to_ms(r.audio_end) for r in heard.asked(Urgency.PARTIAL)]
    gaps = [b - a for a, b in itertools.pairwise(ends)]
    assert max(gaps) == 320
    assert set(gaps[-3:]) == {320}


def test_until_text_is_shown_partials_are_asked_for_no_less_often():
    heard = line(options=StreamOptions(partial_interval_ms=320))
    heard.hear(2_000)
    ends = [samples_to_ms(r.audio_end) for r in heard.asked(Urgency.PARTIAL)]
    assert all(b - a <= 320 for a, b in itertools.pairwise(ends))


def test_partials_cover_the_utterance_so_far_and_their_revisions_grow():
    heard = line()
    heard.hear(2_000)
    partials = heard.asked(Urgency.PARTIAL)
    assert len({r.audio_start for r in partials}) == 1
    assert [r.revision for r in partials] == list(range(1, len(partials) + 1))
    assert all(r.tier is Tier.FAST and not r.word_timestamps for r in partials)


def test_no_partials_are_asked_for_where_they_are_switched_off():
    heard = line(options=StreamOptions(partials=False))
    heard.hear(STOPPED_MS)
    assert heard.asked(Urgency.PARTIAL) == []
    assert len(heard.asked(Urgency.FINAL)) == 1


def test_a_partial_tells_which_text_is_stable():
    heard = line()
    heard.hear(1_500)
    first, second, *_ = heard.asked(Urgency.PARTIAL)
    [told] = heard.answer(first, "please turn")
    assert isinstance(told, TranscriptPartial)
    assert (told.stable_chars, told.revision) == (0, 1)
    assert "please turn".startswith(told.text)
    [told] = heard.answer(second, "please turn on")
    assert isinstance(told, TranscriptPartial)
    assert told.text[: told.stable_chars] == "please turn"
    assert told.audio_end_ms == samples_to_ms(second.audio_end)


def test_a_partial_that_changes_nothing_is_not_told():
    heard = line()
    heard.hear(1_500)
    first, second, third, *_ = heard.asked(Urgency.PARTIAL)
    assert len(heard.answer(first, "please turn")) == 1
    assert len(heard.answer(second, "please turn")) == 1  # now stable
    assert heard.answer(third, "please turn") == []


@pytest.mark.parametrize("text", ["", " ", ".", "no " * 20])
def test_empty_and_looping_partials_are_not_told(text):
    heard = line()
    heard.hear(1_500)
    assert heard.answer(heard.last(Urgency.PARTIAL), text) == []


def test_an_overtaken_partial_is_ignored():
    heard = line()
    heard.hear(1_500)
    first, second, *_ = heard.asked(Urgency.PARTIAL)
    heard.answer(second, "please turn on")
    assert heard.answer(first, "please") == []


def test_a_failed_partial_is_not_told_and_does_no_harm():
    heard = line()
    heard.hear(1_500)
    assert heard.fail(heard.asked(Urgency.PARTIAL)[0]) == []
    assert types(heard.answer(heard.last(Urgency.PARTIAL))) == ["transcript.partial"]


def test_a_language_once_known_serves_later_partials_and_not_the_final():
    heard = line("one two three four five six seven eight")
    heard.hear(2_400)
    heard.answer(heard.last(Urgency.PARTIAL), language="de", language_probability=0.95)
    heard.hear(2_900)
    assert heard.last(Urgency.PARTIAL).language == "de"
    heard.hear(4_000)
    assert heard.last(Urgency.FINAL).language is None


def test_a_language_heard_in_a_short_stretch_is_not_yet_known():
    heard = line()
    heard.hear(900)
    heard.answer(heard.last(Urgency.PARTIAL), language="de", language_probability=0.99)
    heard.hear(1_400)
    assert heard.last(Urgency.PARTIAL).language is None


# ── The pause ──


def test_the_final_decode_starts_in_the_pause():
    heard = line()
    heard.hear(PAUSED_MS)
    eager = heard.last(Urgency.EAGER)
    assert eager.tier is Tier.FAST
    assert samples_to_ms(eager.audio_end) < STOPPED_MS


def test_the_text_of_the_pause_is_told_once():
    heard = line()
    heard.hear(PAUSED_MS)
    [eager] = heard.answer(heard.last(Urgency.EAGER))
    assert isinstance(eager, TranscriptEager)
    assert eager.text == WORDS
    assert heard.answer(heard.last(Urgency.EAGER)) == []


def test_a_final_that_is_ready_leaves_at_the_endpoint_without_delay():
    heard = line()
    heard.hear(PAUSED_MS)
    heard.answer(heard.last(Urgency.EAGER))
    told = heard.hear(STOPPED_MS)
    assert types(told) == ["speech.stopped", "transcript.final"]
    [final] = only(told, TranscriptFinal)
    assert final.timing.endpoint_to_final_ms == 0
    assert final.timing.hangover_ms == pytest.approx(500, abs=32)
    assert heard.asked(Urgency.FINAL) == []
    assert heard.recognizer.speculations.used == 1


def test_an_eager_request_becomes_a_final_one_at_the_endpoint():
    heard = line()
    heard.hear(STOPPED_MS)
    eager, final = heard.asked()[-2:]
    assert (eager.urgency, final.urgency) == (Urgency.EAGER, Urgency.FINAL)
    assert eager.key == final.key
    np.testing.assert_array_equal(eager.audio, final.audio)
    assert types(heard.answer(eager)) == ["transcript.final"]


def test_speech_that_goes_on_takes_the_eager_text_back():
    heard = Line([*said("please wait", 500), *said("and see", 1_400)])
    heard.hear(1_390)
    heard.answer(heard.last(Urgency.EAGER))
    told = heard.hear(1_500)
    assert types(told) == ["speech.resumed"]
    assert heard.recognizer.speculations.wasted == 1
    assert (
        only(heard.told, SpeechResumed)[0].utterance_id == only(heard.told, TranscriptEager)[0].utterance_id
    )


def test_nothing_is_taken_back_where_no_eager_text_was_told():
    heard = Line([*said("please wait", 500), *said("and see", 1_400)])
    heard.hear(1_390)
    stale = heard.last(Urgency.EAGER)
    assert heard.hear(1_500) == []
    assert heard.answer(stale) == []


def test_an_utterance_that_resumed_is_decoded_as_a_whole():
    heard = Line([*said("please wait", 500), *said("and see", 1_400)], eager_answers=True)
    heard.hear(3_000)
    [final] = only(heard.told, TranscriptFinal)
    assert final.text == "please wait and see"


def test_no_partial_is_told_while_an_eager_text_stands():
    heard = line()
    heard.hear(PAUSED_MS)
    late = heard.last(Urgency.PARTIAL)
    heard.answer(heard.last(Urgency.EAGER))
    assert heard.answer(late) == []


# ── The accurate tier ──


def test_the_accurate_tier_is_asked_within_the_hangover():
    heard = line()
    heard.hear(PAUSED_MS)
    heard.answer(heard.last(Urgency.EAGER), **UNSURE)
    accurate = heard.last(Urgency.EAGER, Tier.ACCURATE)
    np.testing.assert_array_equal(accurate.audio, heard.last(Urgency.EAGER, Tier.FAST).audio)
    heard.answer(accurate, "a better text", infer_ms=150)
    [final] = only(heard.hear(STOPPED_MS), TranscriptFinal)
    assert (final.text, final.tier, final.route.decision) == ("a better text", "accurate", Decision.REDECODED)
    assert final.route.fast is not None
    assert final.route.fast.text == WORDS
    assert final.timing.accurate_infer_ms == 150


def test_the_accurate_tier_is_asked_after_the_endpoint_where_the_fast_one_was_late():
    heard = line()
    heard.hear(STOPPED_MS)
    assert heard.answer(heard.last(Urgency.FINAL), **UNSURE) == []
    [final] = heard.answer(heard.last(Urgency.FINAL, Tier.ACCURATE), "a better text")
    assert isinstance(final, TranscriptFinal)
    assert final.route.decision is Decision.REDECODED


def test_a_failed_accurate_tier_lets_the_fast_text_stand():
    heard = line()
    heard.hear(STOPPED_MS)
    heard.answer(heard.last(Urgency.FINAL), **UNSURE)
    [final] = heard.fail(heard.last(Urgency.FINAL, Tier.ACCURATE))
    assert isinstance(final, TranscriptFinal)
    assert (final.text, final.route.decision) == (WORDS, Decision.REDECODE_FAILED)
    assert final.route.reasons == (Reason.LOW_LOGPROB,)


def test_a_slow_accurate_tier_is_waited_for_until_its_deadline_and_no_longer():
    heard = line(routing=Routing(redecode_deadline_ms=1_000))
    heard.hear(STOPPED_MS)
    heard.answer(heard.last(Urgency.FINAL), **UNSURE)
    slow = heard.last(Urgency.FINAL, Tier.ACCURATE)
    assert heard.wait(0.9) == []
    [final] = heard.wait(0.2)
    assert isinstance(final, TranscriptFinal)
    assert (final.text, final.route.decision) == (WORDS, Decision.REDECODE_TIMEOUT)
    assert heard.give(dataclasses.replace(heard.engine.decode(slow))) == []


def test_without_an_accurate_tier_the_doubted_text_stands():
    heard = line(accurate=False)
    heard.hear(STOPPED_MS)
    [final] = heard.answer(heard.last(Urgency.FINAL), **UNSURE)
    assert isinstance(final, TranscriptFinal)
    assert final.route.decision is Decision.NO_ACCURATE_TIER
    assert heard.asked(tier=Tier.ACCURATE) == []


def test_a_fast_tier_that_never_answers_ends_with_the_accurate_one():
    heard = line(routing=Routing(decode_deadline_ms=2_000, min_words=0))
    heard.hear(STOPPED_MS)
    assert heard.wait(2.1) == []
    [final] = heard.answer(heard.last(Urgency.FINAL, Tier.ACCURATE))
    assert isinstance(final, TranscriptFinal)
    assert final.route.reasons == (Reason.DECODE_ERROR,)


def test_two_tiers_that_never_answer_end_in_a_drop():
    heard = line()
    heard.hear(STOPPED_MS)
    [dropped] = heard.wait(60)
    assert isinstance(dropped, UtteranceDropped)
    assert dropped.reason is DropReason.DECODE_FAILED
    assert heard.recognizer.is_idle


def test_the_last_partial_stands_in_where_no_tier_answers():
    heard = line()
    heard.hear(2_000)
    heard.answer(heard.last(Urgency.PARTIAL))
    heard.hear(STOPPED_MS)
    [final] = heard.wait(60)
    assert isinstance(final, TranscriptFinal)
    assert final.text
    assert WORDS.startswith(final.text)
    assert final.route.decision is Decision.REDECODE_TIMEOUT


# ── Order ──


def two() -> Line:
    """Two utterances past their endpoint, unanswered."""
    heard = Line([*said("the first one", 500), *said("the second one", 3_000)])
    heard.hear(5_000)
    return heard


def test_finals_leave_in_the_order_of_speech():
    heard = two()
    first, second = heard.asked(Urgency.FINAL)
    assert heard.answer(second) == []
    told = heard.answer(first)
    assert [e.text for e in only(told, TranscriptFinal)] == ["the first one", "the second one"]


def test_a_late_answer_to_a_concluded_utterance_is_ignored():
    heard = two()
    first, second = heard.asked(Urgency.FINAL)
    heard.answer(first)
    heard.answer(second)
    assert heard.answer(first, "again") == []
    assert heard.fail(second) == []


def test_a_verdict_that_waits_for_its_turn_does_not_keep_the_timer_busy():
    heard = two()
    _, second = heard.asked(Urgency.FINAL)
    heard.answer(second)  # decided, and the first is still awaited
    heard.wait(60)
    assert [e.utterance_id for e in conclusions(heard.told)] == [1, 2]  # type: ignore[attr-defined]


def test_a_redecode_timeout_that_waits_for_its_turn_does_not_keep_the_timer_busy():
    heard = two()
    _, second = heard.asked(Urgency.FINAL)
    heard.answer(second, **UNSURE)  # its accurate tier times out long before the first utterance's fast one
    heard.wait(60)
    assert [e.utterance_id for e in conclusions(heard.told)] == [1, 2]  # type: ignore[attr-defined]


def test_the_time_to_the_final_counts_from_the_endpoint():
    heard = line()
    heard.hear(STOPPED_MS)
    waited = heard.now
    heard.wait(0.25)
    [final] = heard.answer(heard.last(Urgency.FINAL))
    assert isinstance(final, TranscriptFinal)
    assert final.timing.endpoint_to_final_ms >= round((heard.now - waited) * 1000)
    assert final.timing.endpoint_to_final_ms <= 250 + 100


def test_a_final_tells_the_true_times_of_speech():
    heard = line(eager_answers=True)
    heard.hear(STOPPED_MS)
    [final], [stopped] = only(heard.told, TranscriptFinal), only(heard.told, SpeechStopped)
    assert 500 - 32 <= final.audio_start_ms <= 500
    assert END_MS <= final.audio_end_ms <= END_MS + 32
    assert final.audio_end_ms == stopped.audio_end_ms


# ── Ends that are no pause ──


def test_a_stalled_track_is_finalised_after_a_second():
    heard = line()
    heard.hear(1_500)
    assert heard.wait(0.9) == []
    assert types(heard.wait(0.2)) == ["speech.stopped"]
    [final] = heard.answer(heard.last(Urgency.FINAL))
    assert isinstance(final, TranscriptFinal)
    assert WORDS.startswith(final.text)


def test_a_track_whose_audio_waits_for_the_detector_has_not_stalled():
    heard = line()
    heard.hear(1_500)
    assert heard.wait(0.9) == []
    heard.recognizer.audio_waits(heard.now)
    assert heard.wait(0.9) == []
    assert types(heard.wait(0.2)) == ["speech.stopped"]


def test_audio_that_is_sent_again_may_be_waited_for():
    heard = line()
    heard.hear(1_500)
    heard.recognizer.expect_audio(None, heard.now)
    assert heard.wait(100) == []
    heard.recognizer.expect_audio(5.0, heard.now)
    assert heard.wait(4.9) == []
    heard.hear(1_600)
    assert heard.wait(4.9) == []
    assert types(heard.wait(0.2)) == ["speech.stopped"]


def test_audio_that_comes_back_after_a_stall_is_a_new_utterance_without_a_gap():
    heard = line()
    heard.hear(1_500)
    heard.wait(2)
    first = heard.last(Urgency.FINAL)
    heard.hear(STOPPED_MS)
    assert heard.last(Urgency.FINAL).audio_start == first.audio_end


def test_the_end_of_the_audio_finalises_what_is_open():
    heard = line()
    heard.hear(1_500)
    assert types(heard.end()) == ["speech.stopped"]
    assert types(heard.answer(heard.last(Urgency.FINAL))) == ["transcript.final"]
    assert heard.end() == []


def test_cancel_drops_all_that_is_open():
    heard = two()
    heard.hear_window(SPEECH)
    heard.hear_window(SPEECH)
    heard.recognizer.cancel(heard.now)
    reasons = [e.reason for e in only(heard.recognizer.events(), UtteranceDropped)]
    assert reasons == [DropReason.CANCELLED] * 3
    assert heard.recognizer.is_idle


def test_too_little_speech_is_dropped_and_not_decoded():
    heard = Line([Said(500, 560, "k")], min_speech_ms=160)
    told = heard.hear(2_000)
    assert types(told) == ["speech.started", "speech.stopped", "utterance.dropped"]
    assert only(told, UtteranceDropped)[0].reason is DropReason.TOO_SHORT
    assert heard.requests == []


def test_a_long_utterance_becomes_several_whose_audio_adjoins():
    words = said(" ".join(f"word{i}" for i in range(40)))  # 12 s
    heard = Line(words, routing=TRUSTING, eager_answers=True, max_utterance_s=4)
    heard.hear(15_000)
    finals = heard.asked(Urgency.FINAL)
    assert len(finals) >= 3
    assert all(r.duration_ms <= 4_000 + 400 + 64 for r in finals)
    texts = [e.text for e in only(heard.told, TranscriptFinal)]
    assert " ".join(texts).split() == [w.word for w in words]


def test_endless_speech_does_not_grow_the_memory():
    heard = Line()
    heard.configure(StreamOptions(partials=False, endpointing=Endpointing(max_utterance_s=2)))
    for _ in range(60_000 // 32):
        heard.hear_window(SPEECH)
    buffer = heard.recognizer._buffer
    assert samples_to_ms(buffer.end - buffer.start) < 10_000


# ── Finalize ──


def test_finalize_in_silence_is_answered_at_once():
    heard = line()
    heard.hear(400)
    assert heard.finalize("x") == [Finalized(at_ms=samples_to_ms(heard.position), id="x", utterance_id=None)]


def test_finalize_in_an_onset_ends_nothing_and_loses_nothing():
    heard = Line(said(WORDS, start_ms=512))
    heard.hear(544)  # one window of speech
    [answer] = heard.finalize()
    assert isinstance(answer, Finalized)
    assert answer.utterance_id is None
    heard.hear(STOPPED_MS)
    assert samples_to_ms(heard.last(Urgency.FINAL).audio_start) <= 512 - 300


def test_finalize_in_speech_is_answered_after_the_final():
    heard = line()
    heard.hear(1_504)
    assert types(heard.finalize("x")) == ["speech.stopped"]
    final = heard.last(Urgency.FINAL)
    assert final.audio_end == heard.position
    told = heard.answer(final)
    assert types(told) == ["transcript.final", "finalized"]
    assert only(told, Finalized)[0].utterance_id == 1


def test_finalize_in_a_pause_uses_the_eager_decode():
    heard = line()
    heard.hear(PAUSED_MS)
    heard.answer(heard.last(Urgency.EAGER))
    told = heard.finalize()
    assert types(told) == ["speech.stopped", "transcript.final", "finalized"]
    assert told[2].utterance_id == told[1].utterance_id, "it ended this one"
    assert heard.asked(Urgency.FINAL) == []


def test_finalize_while_a_final_is_awaited_is_answered_after_it():
    heard = line()
    heard.hear(STOPPED_MS)
    assert heard.finalize("x") == []
    assert types(heard.answer(heard.last(Urgency.FINAL))) == ["transcript.final", "finalized"]


def test_finalize_waits_for_the_last_of_several_utterances():
    heard = two()
    heard.finalize("x")
    first, second = heard.asked(Urgency.FINAL)
    assert types(heard.answer(first)) == ["transcript.final"]
    assert types(heard.answer(second)) == ["transcript.final", "finalized"]


def test_finalize_of_too_little_speech_is_answered_after_the_drop():
    heard = Line(said(WORDS, start_ms=512), min_speech_ms=320)
    heard.hear(608)
    told = heard.finalize()
    assert types(told) == ["speech.stopped", "utterance.dropped", "finalized"]
    assert told[2].utterance_id == told[1].utterance_id


def test_every_one_of_several_finalizes_is_answered_in_order():
    heard = line()
    heard.hear(1_504)
    for request_id in "abc":
        heard.finalize(request_id)
    told = heard.answer(heard.last(Urgency.FINAL))
    assert [e.id for e in only(told, Finalized)] == ["a", "b", "c"]


def test_finalize_is_answered_where_the_utterance_is_cancelled():
    heard = line()
    heard.hear(1_504)
    heard.finalize("x")
    heard.recognizer.cancel(heard.now)
    assert types(heard.recognizer.events()) == ["utterance.dropped", "finalized"]


# ── Mute and configure ──


def test_mute_finalises_what_was_said_and_hears_nothing_more():
    heard = line()
    heard.hear(1_504)
    assert types(heard.mute(True)) == ["speech.stopped"]
    assert heard.hear(STOPPED_MS) == []
    assert heard.last().urgency is Urgency.FINAL


def test_audio_heard_while_muted_is_not_decoded_later():
    heard = Line([Said(500, 1_000, "secret"), *said("open now", 1_056)])
    heard.mute(True)
    heard.hear(1_024)
    heard.mute(False)
    heard.hear(4_000)
    asked = heard.last(Urgency.FINAL)
    muted = asked.audio[: max(0, ms_to_samples(1_024) - asked.audio_start)]
    assert len(muted) > 0
    assert not muted.any()
    assert asked.audio[len(muted) :].any()


def test_media_time_runs_on_while_muted():
    heard = line()
    heard.mute(True)
    heard.hear(1_024)
    assert heard.recognizer.at_ms == 1_024


def test_options_change_the_requests_made_from_then_on():
    heard = line()
    heard.hear(1_000)
    before = heard.last()
    heard.configure(StreamOptions(language="de", prompt="lamp", hotwords="LED", word_timestamps=True))
    heard.hear(STOPPED_MS)
    final = heard.last(Urgency.FINAL)
    assert (final.language, final.prompt, final.hotwords, final.word_timestamps) == (
        "de",
        "lamp",
        "LED",
        True,
    )
    assert (before.language, before.prompt) == (None, None)


def test_endpointing_may_change_within_an_utterance():
    heard = line()
    heard.hear(2_000)
    heard.configure(StreamOptions(endpointing=Endpointing(min_silence_ms=2_000)))
    assert "speech.stopped" not in types(heard.hear(STOPPED_MS + 800))
    assert "speech.stopped" in types(heard.hear(END_MS + 2_100))


def test_a_window_that_is_all_noise_starts_nothing():
    heard = Line(said(WORDS))
    for _ in range(100):
        heard.hear_window(SILENCE)
    assert heard.told == []
    assert heard.position == 100 * WINDOW


# ── Under load ──


def test_partials_come_as_much_more_slowly_as_the_load_wants():
    heard = line("one two three four five six seven", options=StreamOptions(partial_interval_ms=320))
    heard.recognizer.effort = Effort(partial_stretch=2.0)

    def gaps() -> list[int]:
        return [b - a for a, b in itertools.pairwise(samples_to_ms(r.audio_end) for r in heard.asked())]

    heard.hear(1_000)
    assert set(gaps()) == {192}, "twice the eager interval"
    heard.answer(heard.last(Urgency.PARTIAL))
    heard.hear(2_500)
    assert gaps()[-1] == 640


def test_without_eager_decodes_the_final_is_begun_at_the_endpoint():
    heard = line()
    heard.recognizer.effort = Effort(eager=False)
    heard.hear(STOPPED_MS)
    assert heard.asked(Urgency.EAGER) == []
    final = heard.last(Urgency.FINAL)
    assert final.audio_end > ms_to_samples(END_MS + 500)
    assert types(heard.answer(final)) == ["transcript.final"]
    assert heard.recognizer.speculations == Speculations(used=0, wasted=0)


def test_without_redecodes_the_fast_text_stands():
    heard = line()
    heard.recognizer.effort = Effort(redecode=False)
    heard.hear(STOPPED_MS)
    [final] = heard.answer(heard.last(Urgency.FINAL), **UNSURE)
    assert isinstance(final, TranscriptFinal)
    assert final.route.decision is Decision.REDECODE_SHED
    assert heard.asked(tier=Tier.ACCURATE) == []


def test_a_late_fast_tier_is_not_followed_by_the_accurate_one_where_that_is_shed():
    heard = line()
    heard.hear(STOPPED_MS)
    heard.recognizer.effort = Effort(redecode=False)
    [dropped] = heard.wait(60)
    assert isinstance(dropped, UtteranceDropped)
    assert heard.asked(tier=Tier.ACCURATE) == []
