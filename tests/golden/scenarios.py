"""Small scenes of which every event is kept, one JSON line each, in the file of the scene's name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rtc_stt.audio import Origin, ms_to_samples
from rtc_stt.commands import Ack, Configure
from rtc_stt.config import Endpointing, Routing, StreamOptions
from rtc_stt.errors import DecodeError
from rtc_stt.events import Event, TranscriptFinal
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Tier
from rtc_stt.testing import Said, ScriptedEngine, ScriptedVad, hypothesis, render, replay
from rtc_stt.wire import encode_event
from tests.calls import Call
from tests.harness import Line, said

__all__ = ["SCENES", "path_of", "written"]

FOLDER = Path(__file__).parent

OPTIONS = StreamOptions(partial_interval_ms=500)
"""Few partials, so that the files stay short."""

SENTENCE = said("please turn on the lights")


def _unsure(asked: DecodeRequest, text: str) -> Hypothesis:
    return hypothesis(asked, text.replace("lights", "lice"), avg_logprob=-1.5, compression_ratio=1.1)


def _fails(asked: DecodeRequest, text: str) -> Hypothesis:
    raise DecodeError("broken")


def _replayed(
    script: list[Said],
    duration_ms: int,
    options: StreamOptions = OPTIONS,
    origins: Sequence[tuple[int, Origin]] = (),
    **answers: object,
) -> list[Event]:
    engines = {Tier(tier): ScriptedEngine(script, name=tier, answer=a) for tier, a in answers.items()}  # type: ignore[arg-type]
    audio = render(script, duration_ms)
    return replay(audio, ScriptedVad(script), engines, options=options, routing=Routing(), origins=origins)


def simple_utterance() -> list[Event]:
    """Someone says a sentence."""
    return _replayed(SENTENCE, 3_500, fast=hypothesis)


def pause_and_resume() -> list[Event]:
    """A pause long enough for an eager text, and then the sentence goes on."""
    script = [*said("my number is"), *said("five five five", start_ms=1_750)]
    return _replayed(script, 4_000, fast=hypothesis)


def redecode_accepted() -> list[Event]:
    """The fast tier is unsure, the accurate one knows better."""
    return _replayed(SENTENCE, 3_500, fast=_unsure, accurate=hypothesis)


def accurate_tier_fails() -> list[Event]:
    """The fast tier is unsure, the accurate one breaks: the fast text stands and says so."""
    return _replayed(SENTENCE, 3_500, fast=_unsure, accurate=_fails)


def silence_only() -> list[Event]:
    """Nobody speaks, and a click is no speech."""
    return _replayed([Said(1_000, 1_010, "click")], 3_000, fast=hypothesis)


def long_utterance_cut() -> list[Event]:
    """More than an utterance may hold: cut in a dip between two words."""
    script = [*said("one two three four five"), *said("six seven eight nine ten", start_ms=2_120)]
    options = replace(OPTIONS, partials=False, endpointing=Endpointing(max_utterance_s=2))
    return _replayed(script, 5_000, options=options, fast=hypothesis)


def finalize_mid_speech() -> list[Event]:
    """A finalize cuts in the middle of the sentence, and another one finds nothing to end."""
    line = Line(SENTENCE, options=OPTIONS, routing=Routing(), eager_answers=True, accurate=False)
    line.hear(1_408)
    line.finalize("cut")
    line.hear(3_500)
    line.finalize("nothing")
    return line.told


def mute() -> list[Event]:
    """What is said while muted is not heard."""
    line = Line(SENTENCE, options=OPTIONS, routing=Routing(), eager_answers=True, accurate=False)
    line.hear(1_152)
    line.mute(True)
    line.hear(1_408)
    line.mute(False)
    line.hear(3_500)
    return line.told


def gap() -> list[Event]:
    """A part of the sentence is made up by the codec, and another is lost: the final says so."""
    runs = [(1_000, Origin.RECEIVED), (60, Origin.CONCEALED), (300, Origin.RECEIVED), (128, Origin.LOST)]
    origins = [(ms_to_samples(ms), origin) for ms, origin in runs]
    return _replayed(SENTENCE, 3_500, origins=origins, fast=hypothesis)


def resume() -> list[Event]:
    """The connection is lost in mid-sentence; a new one goes on with the same utterance."""

    async def live() -> list[Event]:
        now = 0.0
        call = Call(
            SENTENCE, by_ear=True, clock=lambda: now, session_id="w1-example", resume_token="w1-secret"
        )
        session, told = call.session, call.told
        session.start()
        # Whether an eager text or a partial leaves is a matter of threads.
        session.receive_command(
            Configure({"partials": False, "endpointing": {"min_silence_ms": 500, "speculate_after_ms": 500}})
        )
        call.say(1_100)
        await call.settled()
        session.detach()
        seen = told[:1]  # the other had not arrived when the line went dead
        now += 0.3
        session.attach(seen.append, last_seq=1)
        session.receive_command(Ack(seen[-1].seq))
        call.say(2_536)  # up to the endpoint
        await call.until(TranscriptFinal, told=seen)
        call.say(3_500)
        session.finish("stopped")
        await call.end()
        await call.speech.aclose()
        return seen

    untimed = [
        replace(event, timing=replace(event.timing, queue_ms=0, fast_infer_ms=0))
        if isinstance(event, TranscriptFinal)
        else event
        for event in asyncio.run(live())
    ]
    assert [event.seq for event in untimed] == list(range(1, len(untimed) + 1))
    return untimed


SCENES: Mapping[str, Callable[[], list[Event]]] = {
    scene.__name__: scene
    for scene in (
        simple_utterance,
        pause_and_resume,
        redecode_accepted,
        accurate_tier_fails,
        silence_only,
        long_utterance_cut,
        finalize_mid_speech,
        mute,
        gap,
        resume,
    )
}
"""Every scene by the name of its file."""


def path_of(name: str) -> Path:
    """Where the events of a scene are kept."""
    return FOLDER / f"{name}.jsonl"


def written(events: list[Event]) -> str:
    """The file's content. Events are numbered as a session would."""
    return "".join(encode_event(replace(event, seq=i)) + "\n" for i, event in enumerate(events, 1))
