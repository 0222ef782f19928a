"""An utterance that goes on: committed piece by piece, and told as one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rtc_stt.audio import ms_to_samples, samples_to_ms
from rtc_stt.commit import Lengths
from rtc_stt.config import Endpointing, RedecodeMode, Routing, StreamOptions
from rtc_stt.events import (
    Decision,
    DropReason,
    Reason,
    SpeechResumed,
    TranscriptEager,
    TranscriptFinal,
    TranscriptPartial,
    UtteranceDropped,
)
from rtc_stt.hypothesis import DecodeRequest, Draft, Tier, Urgency
from rtc_stt.load import Effort
from rtc_stt.testing import Said
from tests.harness import TRUSTING, Line, only, said, types

OPTIONS = StreamOptions(commit_after_s=3.0, endpointing=Endpointing(max_utterance_s=60))
LENGTHS = Lengths.of(3.0)

FIRST = said(" ".join(f"a{i}" for i in range(10)))  # 500 to 3500 ms
REST = said(" ".join(f"b{i}" for i in range(10)), start_ms=3_650)  # to 6650 ms, after a short pause
END_MS = 6_650
COMMITTED_MS = 5_100  # the next partial after this has the pause a second behind it
STOPPED_MS = END_MS + 600
A, B = " ".join(s.word for s in FIRST), " ".join(s.word for s in REST)


def speech(options: StreamOptions = OPTIONS, script: list[Said] | None = None, **how: object) -> Line:
    how.setdefault("routing", TRUSTING)
    return Line(script or [*FIRST, *REST], options=options, **how)  # type: ignore[arg-type]


def hear(heard: Line, until_ms: int) -> None:
    """Audio comes, and every partial is answered at once."""
    answered = len(heard.requests)
    while samples_to_ms(heard.position) + 32 <= until_ms:
        heard.hear(samples_to_ms(heard.position) + 33)
        for asked in heard.requests[answered:]:
            if asked.urgency is Urgency.PARTIAL:
                heard.answer(asked)
        answered = len(heard.requests)


def committed(**how: object) -> tuple[Line, DecodeRequest]:
    """Heard up to the first commit; the request for the final of what is committed is not answered."""
    heard = speech(**how)  # type: ignore[arg-type]
    hear(heard, COMMITTED_MS)
    [segment] = heard.asked(Urgency.EAGER)
    return heard, segment


def last_text(heard: Line) -> tuple[str, str]:
    """The newest partial: what is stable, and the rest."""
    partial = only(heard.told, TranscriptPartial)[-1]
    return partial.text[: partial.stable_chars], partial.text[partial.stable_chars :]


# ── The commit ──


def test_partials_of_more_than_the_length_ask_for_word_times():
    heard = speech()
    hear(heard, 4_500)
    timed = [r for r in heard.asked(Urgency.PARTIAL) if r.word_timestamps]
    assert timed
    assert {len(r.audio) > LENGTHS.after for r in timed} == {True}
    assert all(r.word_timestamps for r in heard.asked(Urgency.PARTIAL) if len(r.audio) > LENGTHS.after)


def test_a_segment_is_committed_in_a_pause_between_words():
    _, segment = committed()
    assert 3_500 <= samples_to_ms(segment.audio_end) <= 3_650
    assert segment.tier is Tier.FAST
    assert not segment.word_timestamps


def test_the_next_segment_begins_with_the_next_sample():
    heard, segment = committed()
    hear(heard, STOPPED_MS)
    last = heard.last(Urgency.FINAL)
    assert heard.last(Urgency.PARTIAL).audio_start == last.audio_start == segment.audio_end
    np.testing.assert_array_equal(last.audio, heard.source[last.audio_start : last.audio_end])


def test_a_clear_pause_is_waited_for_and_then_any_gap_will_do():
    heard = speech(script=said(" ".join(f"w{i}" for i in range(30))))
    hear(heard, 8_000)
    when = heard.asked(Urgency.EAGER)[0].revision
    before = next(r for r in reversed(heard.asked(Urgency.PARTIAL)) if r.revision < when)
    assert LENGTHS.patient < len(before.audio) < LENGTHS.patient + ms_to_samples(300)


def test_what_follows_a_commit_is_at_least_as_long_as_what_a_partial_needs():
    heard, segment = committed()
    newest = heard.last(Urgency.PARTIAL)
    assert newest.audio_end - segment.audio_end >= LENGTHS.keep


def test_without_word_times_the_quietest_place_is_taken():
    heard = speech()
    for until in range(1_000, COMMITTED_MS, 250):
        heard.hear(until)
        heard.answer(heard.last(Urgency.PARTIAL), words=())
    segment = heard.asked(Urgency.EAGER)[0]
    assert len(segment.audio) <= LENGTHS.after
    heard.answer(segment)
    hear(heard, STOPPED_MS)
    for asked in heard.asked(Urgency.FINAL):
        heard.answer(asked)
    assert only(heard.told, TranscriptFinal)[0].text == f"{A} {B}"


@pytest.mark.parametrize("how", ["no partials wanted", "none answered", "all fail", "none sound"])
def test_where_partials_do_not_help_segments_end_at_the_bound(how):
    script = said(" ".join(f"w{i}" for i in range(80)))
    heard = speech(StreamOptions(commit_after_s=3.0, partials=how != "no partials wanted"), script=script)
    while samples_to_ms(heard.position) < 26_000:
        fresh = len(heard.requests)
        heard.hear(samples_to_ms(heard.position) + 33)
        for asked in heard.requests[fresh:]:
            if asked.urgency is not Urgency.PARTIAL:
                heard.answer(asked)
            elif how == "all fail":
                heard.fail(asked)
            elif how == "none sound":
                heard.answer(asked, "no " * 20)
    segments = [r for r in heard.requests if r.urgency is not Urgency.PARTIAL]
    assert len(segments) >= 5
    assert max(len(r.audio) for r in heard.requests) <= LENGTHS.bound
    assert all(a.audio_end == b.audio_start for a, b in pairwise(segments))
    assert [e.text for e in only(heard.told, TranscriptFinal)] == [" ".join(s.word for s in script)]


def test_nothing_is_committed_while_a_final_is_tried():
    heard = speech(script=[*FIRST, *said("b0 b1 b2 b3", 3_650)])
    hear(heard, 4_450)
    heard.hear(5_100)  # the pause
    [eager] = heard.asked(Urgency.EAGER)
    late = heard.last(Urgency.PARTIAL)
    assert late.word_timestamps
    heard.answer(late)
    assert heard.asked(Urgency.EAGER) == [eager]


# ── Partials ──


def test_partials_go_on_with_the_committed_text_as_it_was_shown():
    heard, _ = committed()
    stable, _ = last_text(heard)
    hear(heard, END_MS)
    later, rest = last_text(heard)
    assert later.startswith(stable)
    assert f"{A} {B}".startswith(later + rest)
    assert len(later) > len(A)


def test_committed_text_stands_whatever_the_final_of_its_segment_says():
    heard, segment = committed()
    stable, _ = last_text(heard)
    heard.answer(segment, "something else")
    hear(heard, END_MS)
    assert last_text(heard)[0].startswith(stable)


def test_an_answer_for_a_window_that_a_commit_ended_is_ignored():
    heard = speech()
    hear(heard, 4_450)
    assert heard.asked(Urgency.EAGER) == []
    heard.hear(5_500)
    first, *_, last = [r for r in heard.asked(Urgency.PARTIAL) if r.audio_end > ms_to_samples(4_700)]
    heard.answer(first)
    assert len(heard.asked(Urgency.EAGER)) == 1
    assert last.audio_start == first.audio_start
    assert heard.answer(last) == []
    assert heard.answer(last, "zzz") == []


def test_revisions_grow_through_a_commit():
    heard, _ = committed()
    hear(heard, STOPPED_MS)
    names = [r.revision for r in heard.requests if r.urgency is not Urgency.FINAL]
    assert names == sorted(set(names))
    told = [e.revision for e in only(heard.told, TranscriptPartial)]
    assert told == sorted(set(told))


# ── What is carried ──


def test_later_requests_carry_what_was_shown_and_then_what_is_final():
    heard, segment = committed()
    assert segment.context is None
    heard.hear(COMMITTED_MS + 300)
    assert heard.last(Urgency.PARTIAL).context == A
    heard.answer(segment, "a final text")
    heard.hear(STOPPED_MS)
    assert heard.last(Urgency.PARTIAL).context == "a final text"
    assert heard.last(Urgency.FINAL).context == "a final text"


def test_nothing_is_carried_where_that_is_switched_off_nor_into_the_next_utterance():
    heard, _ = committed(options=StreamOptions(commit_after_s=3.0, carry_context=False))
    hear(heard, STOPPED_MS)
    assert {r.context for r in heard.requests} == {None}
    heard = speech(script=[*FIRST, *REST, *said("c0 c1 c2", 9_000)])
    hear(heard, 9_800)
    assert heard.last(Urgency.PARTIAL).utterance_id == 2
    assert heard.last(Urgency.PARTIAL).context is None


# ── The final ──


def test_an_utterance_of_several_segments_has_one_final():
    heard, segment = committed()
    heard.answer(segment, infer_ms=40, queue_ms=1)
    hear(heard, STOPPED_MS)
    assert only(heard.told, TranscriptFinal) == []
    [final] = heard.answer(heard.last(Urgency.FINAL), infer_ms=30, queue_ms=2)
    assert isinstance(final, TranscriptFinal)
    assert final.text == f"{A} {B}"
    assert (final.timing.fast_infer_ms, final.timing.queue_ms) == (70, 3)
    assert (final.audio_start_ms, final.audio_end_ms) == (480, pytest.approx(END_MS, abs=32))
    assert final.words == ()


def test_a_doubted_segment_is_decoded_again_at_once():
    heard, segment = committed(routing=Routing(min_words=0))
    heard.answer(segment, avg_logprob=-0.9)
    accurate = heard.last(Urgency.EAGER, Tier.ACCURATE)
    assert (accurate.audio_start, accurate.audio_end) == (segment.audio_start, segment.audio_end)
    heard.answer(accurate, "a better text")
    hear(heard, STOPPED_MS)
    [final] = heard.answer(heard.last(Urgency.FINAL))
    assert isinstance(final, TranscriptFinal)
    assert final.text == f"a better text {B}"
    assert (final.route.decision, final.tier) == (Decision.REDECODED, Tier.ACCURATE)
    assert final.route.reasons == (Reason.LOW_LOGPROB,)


def test_what_is_unanswered_at_the_endpoint_becomes_urgent():
    heard, segment = committed()
    hear(heard, STOPPED_MS)
    promoted, last = heard.asked(Urgency.FINAL)
    assert promoted.key == segment.key
    assert heard.answer(last) == []
    assert types(heard.answer(promoted)) == ["transcript.final"]


def test_a_segment_that_nobody_decodes_in_time_is_told_as_it_was_shown():
    heard, _ = committed(options=StreamOptions(commit_after_s=3.0, word_timestamps=True))
    hear(heard, STOPPED_MS)
    heard.answer(heard.last(Urgency.FINAL))
    [final] = heard.wait(20)
    assert isinstance(final, TranscriptFinal)
    assert final.text == f"{A} {B}"
    assert [w.word for w in final.words] == final.text.split()
    assert (final.route.decision, final.route.reasons) == (Decision.REDECODE_TIMEOUT, (Reason.DECODE_ERROR,))
    assert heard.recognizer.is_idle


def test_word_times_that_only_served_the_commit_are_not_told():
    heard, _ = committed()
    hear(heard, STOPPED_MS)
    [final] = heard.wait(30)
    assert isinstance(final, TranscriptFinal)
    assert final.text.startswith(A)
    assert final.words == ()


def test_a_dropped_segment_contributes_nothing():
    heard, segment = committed()
    heard.answer(segment, "", no_speech_prob=0.9)
    hear(heard, STOPPED_MS)
    [final] = heard.answer(heard.last(Urgency.FINAL))
    assert isinstance(final, TranscriptFinal)
    assert final.text == B


def test_where_all_segments_are_dropped_the_utterance_is():
    heard, segment = committed()
    heard.answer(segment, "", no_speech_prob=0.9)
    hear(heard, STOPPED_MS)
    [dropped] = heard.answer(heard.last(Urgency.FINAL), "", no_speech_prob=0.9)
    assert isinstance(dropped, UtteranceDropped)
    assert dropped.reason is DropReason.NO_SPEECH


def test_little_speech_after_a_commit_is_still_decoded():
    endpointing = Endpointing(min_speech_ms=1_000, min_silence_ms=1_500)
    script = [*FIRST, Said(3_650, 4_000, "b0")]
    heard = speech(StreamOptions(commit_after_s=3.0, endpointing=endpointing), script=script)
    hear(heard, 3_980)
    heard.hear(4_100)
    assert heard.asked(Urgency.EAGER) == []
    heard.recognizer.effort = Effort(eager=False)
    heard.hear(5_000)
    heard.answer(heard.last(Urgency.PARTIAL))
    heard.hear(6_000)
    assert len(heard.asked(Urgency.FINAL)) >= 1
    for asked in heard.asked(Urgency.FINAL):
        heard.answer(asked)
    assert only(heard.told, TranscriptFinal)[0].text == f"{A} b0"


def test_the_length_of_an_utterance_counts_from_its_true_start():
    script = said(" ".join(f"w{i}" for i in range(60)))  # 18 s
    options = StreamOptions(commit_after_s=3.0, endpointing=Endpointing(max_utterance_s=10))
    heard = speech(options, script=script, eager_answers=True)
    heard.hear(20_000)
    finals = only(heard.told, TranscriptFinal)
    assert len(finals) in (2, 3)
    assert all(f.audio_end_ms - f.audio_start_ms <= 10_000 for f in finals)
    assert " ".join(f.text for f in finals).split() == [s.word for s in script]


# ── The pause ──


def test_the_eager_text_has_the_committed_text_in_front_and_is_taken_back_as_ever():
    heard, segment = committed(script=[*FIRST, *REST, *said("c0 c1", END_MS + 400)])
    hear(heard, END_MS + 250)
    [eager] = heard.answer(heard.last(Urgency.EAGER))
    assert isinstance(eager, TranscriptEager)
    assert eager.text == f"{A} {B}"
    hear(heard, END_MS + 500)
    assert len(only(heard.told, SpeechResumed)) == 1
    heard.answer(segment)
    assert heard.recognizer.speculations.wasted == 1


def test_an_eager_text_tells_finals_of_segments_where_they_are_known():
    heard, segment = committed()
    heard.answer(segment, "a final text")
    hear(heard, END_MS + 250)
    [eager] = heard.answer(heard.last(Urgency.EAGER))
    assert isinstance(eager, TranscriptEager)
    assert eager.text == f"a final text {B}"


def test_after_a_long_pause_a_segment_that_grew_too_long_is_cut():
    endpointing = Endpointing(min_silence_ms=5_000, max_utterance_s=60)
    options = StreamOptions(commit_after_s=3.0, partials=False, endpointing=endpointing)
    script = [
        *said(" ".join(f"a{i}" for i in range(22))),
        *said(" ".join(f"b{i}" for i in range(30)), 11_500),
    ]
    heard = speech(options, script=script, eager_answers=True)
    heard.hear(30_000)
    assert [e.text for e in only(heard.told, TranscriptFinal)] == [" ".join(s.word for s in script)]
    assert max(len(r.audio) for r in heard.requests) <= LENGTHS.bound


# ── Drafts ──

VERIFY = Routing(logprob_threshold=0, langprob_threshold=0, min_words=0, redecode_mode=RedecodeMode.VERIFY)


def test_the_last_partial_is_the_draft_of_a_final_if_it_heard_all_speech():
    heard = speech(StreamOptions(partial_interval_ms=100), script=FIRST, routing=VERIFY)
    hear(heard, 3_480)
    partial = heard.last(Urgency.PARTIAL)
    heard.hear(3_540)
    heard.give(heard.engine.decode(heard.last(Urgency.PARTIAL)))
    heard.hear(3_800)
    eager, newest = heard.last(Urgency.EAGER), heard.last(Urgency.PARTIAL)
    assert newest.audio_end >= ms_to_samples(3_500) > partial.audio_end - 512
    assert eager.draft == Draft(A, "en", 0.98)
    [told] = heard.answer(eager, A, verified=True)
    assert isinstance(told, TranscriptEager)
    [final] = only(heard.hear(4_200), TranscriptFinal)
    assert final.route.decision is Decision.ACCEPTED


def test_a_partial_that_missed_the_last_word_is_no_draft():
    heard = speech(script=FIRST, routing=VERIFY)
    hear(heard, 3_000)
    heard.hear(3_800)
    assert heard.last(Urgency.EAGER).draft is None


def test_there_are_no_drafts_where_always_is_decoded_nor_of_what_is_committed():
    heard = speech(StreamOptions(partial_interval_ms=100), script=FIRST)
    hear(heard, 3_800)
    assert heard.last(Urgency.EAGER).draft is None
    _, segment = committed(routing=VERIFY)
    assert segment.draft is None


# ── Memory ──


def test_what_is_committed_and_decided_holds_no_audio():
    heard = speech(script=said(" ".join(f"w{i}" for i in range(200))), eager_answers=True)
    recognizer = heard.recognizer
    most = 0
    for until in range(1_000, 55_000, 1_000):
        heard.hear(until)
        most = max(most, recognizer._buffer.end - recognizer._buffer.start)
        assert len(recognizer._endpointer._windows) * 512 <= LENGTHS.bound
    assert most <= LENGTHS.bound
    utterance = recognizer._current
    assert utterance is not None
    assert len(utterance.segments) > 10
    for segment in utterance.segments[:-1]:
        assert segment.attempt is None
        assert segment.verdict is not None
        assert len(segment.verdict.hypothesis.request.audio) == 0  # type: ignore[union-attr]
