"""A folder of turns, ours or a stranger's: what is right is read, what is wrong is told with its place."""

from __future__ import annotations

import json
import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.bench.clips import CLIPS
from rtc_stt.bench.turns import manifest, manifest_form
from rtc_stt.bench.turns.manifest import digest, load, read_audio
from rtc_stt.bench.turns.manifest_form import MAX_MS, parse
from rtc_stt.bench.turns.scene import Pause, Scene, SpokenWord, Turn
from rtc_stt.errors import BadAudio

# ── A manifest that is right, and what may be put in its place ──


def turn(number=1, start=400, **changed):
    words = [
        {"word": "Hello", "start_ms": start, "end_ms": start + 300},
        {"word": "world", "start_ms": start + 600, "end_ms": start + 900},
    ]
    return {
        "id": f"t{number}",
        "text": "Hello, world.",
        "language": "en",
        "start_ms": start,
        "end_ms": start + 900,
        "words": words,
        "pauses": [{"start_ms": start + 300, "end_ms": start + 600}],
        **changed,
    }


def scene(**changed):
    return {
        "id": "greeting",
        "set": "own",
        "file": "greeting.wav",
        "licence": "mine",
        "turns": [turn(1), turn(2, 2000)],
        **changed,
    }


def text(*scenes, **changed):
    return json.dumps({"form": 1, "scenes": list(scenes or [scene()]), **changed})


def write_wav(path, seconds=3.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.full(round(seconds * 16_000), 1000, "<i2").tobytes())


@pytest.fixture
def folder(tmp_path):
    """Five scenes of two sets."""
    kinds = ["own", "other", "own", "own", "own"]
    scenes = [scene(id=f"s{i}", set=kind, file=f"{kind}/{i}.wav") for i, kind in enumerate(kinds)]
    (tmp_path / "turns.json").write_text(text(*scenes))
    for each in scenes:
        write_wav(tmp_path / each["file"])
    return tmp_path


# ── What is right ──


def test_a_scene_is_read_with_all_of_its_times():
    [read] = parse(text(), Path("there"))
    assert (read.id, read.set, read.file, read.licence) == ("greeting", "own", "greeting.wav", "mine")
    assert read.folder == Path("there")
    assert read.turns[0] == Turn(
        "t1",
        "Hello, world.",
        "en",
        400,
        1300,
        (SpokenWord("Hello", 400, 700), SpokenWord("world", 1000, 1300)),
        (Pause(700, 1000),),
    )


def test_words_pauses_and_the_licence_need_not_be_known():
    entry = scene(turns=[{k: v for k, v in turn().items() if k not in ("words", "pauses")}])
    del entry["licence"]
    [read] = parse(text(entry))
    assert read.turns[0].words == read.turns[0].pauses == ()
    assert read.licence == ""


@st.composite
def spans(draw, count, start, gap=0):
    """So many spans one after the other from ``start`` on, and where the last one ends."""
    made = []
    for _ in range(count):
        first = start + draw(st.integers(gap, 500))
        start = first + draw(st.integers(1, 500))
        made.append((first, start))
    return made


@st.composite
def turns(draw, identifier, start):
    """A turn of words with a pause in every gap between them."""
    said = draw(st.lists(st.text("abcdéñüß4", min_size=1, max_size=8), min_size=1, max_size=5))
    times = draw(spans(len(said), start))
    words = tuple(SpokenWord(word, *span) for word, span in zip(said, times, strict=True))
    gaps = [(a.end_ms, b.start_ms) for a, b in pairwise(words) if b.start_ms > a.end_ms]
    shown = draw(st.sampled_from([" ".join(said), ", ".join(said) + "?", " ".join(said).upper()]))
    return Turn(
        identifier,
        shown,
        draw(st.sampled_from(["en", "de", "yue"])),
        words[0].start_ms,
        words[-1].end_ms,
        words if draw(st.booleans()) else (),
        tuple(Pause(*gap) for gap in gaps),
    )


@st.composite
def scenes(draw):
    made = []
    start = 0
    for number in range(draw(st.integers(1, 4))):
        made.append(draw(turns(f"t{number}", start)))
        start = made[-1].end_ms
    name = draw(st.text("abc-_.1", min_size=1, max_size=9).map(lambda name: "s" + name))
    return Scene(name, name, f"a/{name}.flac", tuple(made))


def as_entry(read):
    return {
        "id": read.id,
        "set": read.set,
        "file": read.file,
        "turns": [
            {
                "id": each.id,
                "text": each.text,
                "language": each.language,
                "start_ms": each.start_ms,
                "end_ms": each.end_ms,
                "words": [{"word": w.word, "start_ms": w.start_ms, "end_ms": w.end_ms} for w in each.words],
                "pauses": [{"start_ms": p.start_ms, "end_ms": p.end_ms} for p in each.pauses],
            }
            for each in read.turns
        ],
    }


@settings(max_examples=30)
@given(st.lists(scenes(), min_size=1, max_size=2, unique_by=lambda scene: scene.id))
def test_what_is_in_order_is_read_as_it_is(made):
    assert parse(text(*map(as_entry, made))) == made


# ── What is wrong ──

WRONG = {
    "a manifest of another form": (text(form=2), r"form 2 is not 1"),
    "no scenes": ('{"form": 1, "scenes": []}', "no scenes"),
    "no object": ("3", r"manifest is no object: 3"),
    "no JSON": ('{"form": 1,', r"no JSON: .* line 1"),
    "nested too deep": ("[" * 100_000, "no JSON"),
    "NaN": (text().replace("400", "NaN", 1), "NaN is not a number"),
    "Infinity": (text().replace("400", "-Infinity", 1), "-Infinity is not a number"),
    "too large for a float": (text().replace("400", "1e999", 1), r"scene \"greeting\".*start_ms.*whole"),
    "thousands of digits": (text().replace("400", "4" * 5_000, 1), "it cannot be read"),
    "hundreds of digits": (text().replace("400", "4" * 500, 1), r"start_ms \(a huge number\) is not between"),
    "a field twice": (text().replace('"set"', '"id"', 1), r'"id" is there twice'),
    "a list as a scene": (text([1]), r"scene 1 is no object: \(a list\)"),
    "the same id twice": (text(scene(), scene()), r'two scenes have the id "greeting"'),
    "the same turn twice": (text(scene(turns=[turn(1), turn(1, 2000)])), r"greeting.*two turns .* \"t1\""),
    "no turns": (text(scene(turns=[])), "greeting.*turns .* is empty"),
    "turns that are none": (text(scene(turns={})), "greeting.*turns .* is no list"),
    "turns that overlap": (text(scene(turns=[turn(1), turn(2, 1299)])), "turn 2: start_ms 1299 is before"),
    "turns out of order": (text(scene(turns=[turn(1, 5000), turn(2)])), "turn 2: start_ms 400 is before"),
}
OF_A_SCENE = {
    "an empty id": ({"id": " "}, "scene 1: id .* is empty"),
    "an id that is a number": ({"id": 7}, "scene 1: id 7 is no text"),
    "an id without end": ({"id": "x" * 201}, "more than 200 characters"),
    "a set with a comma": ({"set": "a,b"}, "greeting.*set .*may have letters"),
    "an absolute path": ({"file": "/etc/passwd"}, "greeting.*file .*inside the folder"),
    "a path out of the folder": ({"file": "a/../../b.wav"}, "greeting.*file .*inside the folder"),
    "a path of another system": ({"file": "..\\b.wav"}, "greeting.*file .*inside the folder"),
    "a drive": ({"file": "C:b.wav"}, "greeting.*file .*inside the folder"),
    "a path that ends early": ({"file": "a\0b"}, "greeting.*file .*control characters"),
    "no file": ({"file": None}, "greeting.*file null is no text"),
    "the folder itself": ({"file": "."}, "greeting.*file .*inside the folder"),
    "a field nobody knows": ({"lisence": "MIT"}, r'"lisence" is unknown; known are .*licence'),
    "a licence that is none": ({"licence": 3}, "greeting.*licence 3 is no text"),
}
OF_A_TURN = {
    "no start": ({"start_ms": None}, r"greeting.*turn 1 \(\"t1\"\): start_ms null is no whole number"),
    "a start in seconds": ({"start_ms": 0.4}, r"t1.*start_ms 0\.4 is no whole number"),
    "true": ({"start_ms": True}, "t1.*start_ms true is no whole number"),
    "a number in quotes": ({"start_ms": "400"}, "t1.*start_ms .*no whole number"),
    "before the scene": ({"start_ms": -1}, "t1.*start_ms -1 is not between"),
    "after an hour": ({"end_ms": MAX_MS + 1}, "t1.*end_ms 3600001 is not between"),
    "an end before the start": ({"end_ms": 400}, "t1.*end_ms 400 is not after start_ms, 400"),
    "nothing said": ({"text": "…"}, "t1.*text .* nothing is said"),
    "half of a character": ({"text": "Hello \ud800 world"}, "t1.*text .*half of a character"),
    "a text without end": ({"text": "x" * 100_001}, "t1.*text .*more than 100,000"),
    "a language by name": ({"language": "English"}, "t1.*language .*ISO 639"),
    "a word too few": ({"text": "Hello, wide world."}, "t1.*words are not those of its text"),
    "words before the turn": ({"start_ms": 401}, "t1.*words are not within the turn"),
    "words after the turn": ({"end_ms": 1299}, "t1.*words are not within the turn"),
    "a word without times": ({"words": [{"word": "x"}]}, "t1.*word 1: the field start_ms is missing"),
    "words that overlap": (
        {"words": [turn()["words"][0], {"word": "world", "start_ms": 600, "end_ms": 1300}]},
        "t1.*word 2: start_ms 600 is before",
    ),
    "a pause before the first word": (
        {"pauses": [{"start_ms": 400, "end_ms": 401}]},
        "t1.*pauses are not in",
    ),
    "a pause in a word": (
        {"pauses": [{"start_ms": 650, "end_ms": 800}]},
        "t1.*silent at 650 ms while a word",
    ),
    "a pause around a word": (
        {
            "text": "A",
            "words": [{"word": "A", "start_ms": 600, "end_ms": 700}],
            "pauses": [{"start_ms": 500, "end_ms": 900}],
        },
        "t1.*silent at 600 ms while a word",
    ),
    "pauses out of order": (
        {"pauses": [{"start_ms": 800, "end_ms": 900}, {"start_ms": 700, "end_ms": 750}]},
        "t1.*pause 2: start_ms 700 is before",
    ),
}
WRONG |= {what: (text(scene(**changed)), told) for what, (changed, told) in OF_A_SCENE.items()}
WRONG |= {what: (text(scene(turns=[turn(**changed)])), told) for what, (changed, told) in OF_A_TURN.items()}


@pytest.mark.parametrize(("written", "told"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_with_its_place(written, told):
    with pytest.raises(BadAudio, match=told) as caught:
        parse(written)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("missing", ["id", "set", "file", "turns"])
def test_a_scene_lacks_a_field(missing):
    entry = scene()
    del entry[missing]
    with pytest.raises(BadAudio, match=f"scene 1: the field {missing} is missing"):
        parse(text(entry))


def test_huge_counts_are_refused_before_they_are_read():
    word = {"word": "x", "start_ms": 500, "end_ms": 501}
    with pytest.raises(BadAudio, match=r"turn 1 .*word 10001 is one too many: at most 10,000"):
        parse(text(scene(turns=[turn(words=[word] * 10_001)])))
    with pytest.raises(BadAudio, match=r"scene 20001 is one too many: at most 20,000"):
        parse(text(*[0] * 20_001))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    """Every place in a tree of JSON."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def put(tree, path, value):
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = put(tree[path[0]], path[1:], value)
    return copy


@given(st.sampled_from(list(places(json.loads(text())))), ANYTHING | st.integers(0, 4_000))
def test_whatever_stands_anywhere_is_read_in_order_or_refused(path, value):
    try:
        read = parse(json.dumps(put(json.loads(text()), path, value)))
    except BadAudio:
        return
    for each in read:
        assert not Path(each.file).is_absolute()
        assert ".." not in Path(each.file).parts
        edges = [edge for turn in each.turns for edge in (turn.start_ms, turn.end_ms)]
        assert edges == sorted(edges)
        for turn_ in each.turns:
            assert 0 <= turn_.start_ms < turn_.end_ms <= MAX_MS
            for inner in (*turn_.words, *turn_.pauses):
                assert turn_.start_ms <= inner.start_ms < inner.end_ms <= turn_.end_ms


# ── Folders ──


def test_scenes_are_chosen_by_set_and_evenly(folder):
    assert [each.id for each in load(folder)] == ["s0", "s2", "s3", "s4", "s1"]
    assert [each.id for each in load(folder, ["other", "own"])] == ["s1", "s0", "s2", "s3", "s4"]
    assert [each.id for each in load(folder, ["own"], limit=2)] == ["s0", "s3"]
    assert load(folder)[0].folder == folder


@pytest.mark.parametrize(
    ("sets", "limit", "told"),
    [(["loud"], None, "no scenes of the set loud, only other, own"), ((), 0, "limit of 0 scenes")],
)
def test_a_choice_of_nothing_is_told(folder, sets, limit, told):
    with pytest.raises(BadAudio, match=told):
        load(folder, sets, limit)


def test_the_sound_of_a_scene_is_read_whole(folder):
    assert read_audio(load(folder)[0]).shape == (56_000,)


def test_a_file_that_ends_before_its_last_turn_is_refused(folder):
    write_wav(folder / "own/0.wav", 2.0)
    with pytest.raises(
        BadAudio, match=r"scene s0: its last turn ends at 2900 ms, but own/0.wav has only 2000"
    ):
        read_audio(load(folder)[0])


def test_a_file_that_is_too_long_or_no_sound_is_refused(folder, monkeypatch):
    monkeypatch.setattr(manifest, "MAX_MS", 3_000)
    with pytest.raises(BadAudio, match=r"scene s0: .*longer than"):
        read_audio(load(folder)[0])
    (folder / "own/0.wav").write_bytes(b"no sound")
    with pytest.raises(BadAudio, match=r"scene s0: .*0\.wav: this is no audio"):
        read_audio(load(folder)[0])


def test_a_file_that_is_not_there_is_told_at_once(folder):
    (folder / "own/3.wav").unlink()
    with pytest.raises(BadAudio, match=r"turns\.json: scene s3: own/3\.wav is not there"):
        load(folder)


def test_no_link_leads_out_of_the_folder(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.wav"
    write_wav(outside)
    (folder / "own/0.wav").unlink()
    (folder / "own/0.wav").symlink_to(outside)
    with pytest.raises(BadAudio, match=r"scene s0: own/0\.wav leads out of the folder"):
        load(folder)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (None, r"no folder of turns: there is no turns\.json.*--turns"),
        (b"\xff\xfe", "cannot be read: Unicode"),
    ],
)
def test_a_folder_without_a_manifest_is_told(tmp_path, raw, told):
    if raw:
        (tmp_path / "turns.json").write_bytes(raw)
    with pytest.raises(BadAudio, match=told):
        load(tmp_path)


def test_a_manifest_without_end_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(manifest, "MAX_BYTES", 100)
    with pytest.raises(BadAudio, match=r"turns\.json is larger than"):
        load(folder)


def test_a_byte_order_mark_does_no_harm(folder):
    path = folder / "turns.json"
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert len(load(folder)) == 5


def test_the_digest_is_of_what_is_measured_and_of_nothing_else(folder):
    before = digest(folder)
    (folder / "README.md").write_text("Mine.")
    assert digest(folder) == before
    write_wav(folder / "own/2.wav", 3.6)
    after = digest(folder)
    assert after != before
    (folder / "turns.json").write_text((folder / "turns.json").read_text() + "\n")
    assert digest(folder) not in (before, after)


# ── The older form ──


def test_clips_are_scenes_of_one_turn():
    read = load(CLIPS)
    assert len(read) == 180
    first = read[0]
    assert (first.id, first.set, first.folder) == ("clean-000", "clean", CLIPS)
    [only] = first.turns
    assert (only.id, only.start_ms, only.end_ms, len(only.words)) == ("clean-000", 437, 2957, 7)
    assert len(read_audio(first)) / 16 >= only.end_ms


def test_a_clip_that_is_wrong_is_told_with_its_place():
    entry = {"id": "a", "file": "a.wav", "set": "x", "text": "A", "language": "en", "speech_start_ms": 5}
    with pytest.raises(BadAudio, match="clip 1: the field speech_end_ms is missing"):
        parse(json.dumps([entry]))
    with pytest.raises(BadAudio, match='clip "a": speech_end_ms 5 is not after speech_start_ms, 5'):
        parse(json.dumps([{**entry, "speech_end_ms": 5}]))


def test_the_version_is_that_of_the_committed_sets():
    written = json.loads((manifest.TURNS / "turns.json").read_text(encoding="utf-8"))
    assert written["form"] == manifest_form.FORM


# ── The guide ──


def test_the_example_of_the_guide_is_read_and_its_error_is_the_one_told():
    guide = (Path(__file__).parents[3] / "docs/guides/turn-sets.md").read_text(encoding="utf-8")
    example = guide.split("```json\n")[1].split("```")[0]
    [read] = parse(example)
    assert [len(each.words) for each in read.turns] == [5, 0]
    told = guide.split("error: my-turns/turns.json: ")[1].split("\n")[0]
    with pytest.raises(BadAudio) as caught:
        parse(example.replace('"end_ms": 4150', '"end_ms": 415'))
    assert str(caught.value) == told
