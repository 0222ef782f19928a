"""Folders of recordings: every layout, and every way in which one can be wrong."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from rtc_stt.bench.clips import CLIPS
from rtc_stt.bench.wer import corpus
from rtc_stt.bench.wer.corpus import load
from rtc_stt.errors import BadAudio

SOUND = CLIPS / "clean" / "clean-002.flac"


def sound(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SOUND, path)
    return path


def wrong(place, match):
    with pytest.raises(BadAudio, match=match):
        load(place)


def test_the_clips_of_the_repository_are_a_corpus():
    clips = load(CLIPS)
    assert clips.layout == "manifest"
    assert len(clips.recordings) == 180
    first = clips.recordings[0]
    assert (first.id, first.set, first.language) == ("clean/clean-000.flac", "clean", "en")
    assert first.text == "Set an alarm for eleven o'clock Sunday."
    assert first.path == CLIPS / "clean" / "clean-000.flac"


def test_librispeech_with_its_sets(tmp_path):
    for part in ("test-clean", "test-other"):
        chapter = tmp_path / part / "84" / "121123"
        sound(chapter / "84-121123-0000.flac")
        sound(chapter / "84-121123-0001.wav")
        lines = "84-121123-0000 GO DO YOU HEAR\n84-121123-0001  BUT IN LESS\n\n"
        (chapter / "84-121123.trans.txt").write_text(lines)
    read = load(tmp_path)
    assert read.layout == "librispeech"
    assert [(r.id, r.set, r.text, r.language) for r in read.recordings[:2]] == [
        ("test-clean/84/121123/84-121123-0000.flac", "test-clean", "GO DO YOU HEAR", None),
        ("test-clean/84/121123/84-121123-0001.wav", "test-clean", "BUT IN LESS", None),
    ]
    assert [r.set for r in read.recordings[2:]] == ["test-other", "test-other"]
    assert [r.set for r in load(tmp_path / "test-clean").recordings] == ["", ""]
    assert [r.set for r in load(tmp_path / "test-clean" / "84" / "121123").recordings] == ["", ""]


def test_librispeech_without_a_recording_says_in_which_line(tmp_path):
    chapter = tmp_path / "84" / "1"
    sound(chapter / "84-1-0000.flac")
    transcript = chapter / "84-1.trans.txt"
    transcript.write_text("84-1-0000 A\n84-1-0001 B\n")
    wrong(tmp_path, re.escape(f"{transcript}:2: there is no recording 84-1-0001"))
    transcript.write_text("../84-1-0000 A\n")
    wrong(tmp_path, ":1: there is no recording")


@pytest.mark.parametrize("name", ["manifest.jsonl", "manifest.json", "train.json"])
def test_json_lines_in_the_words_of_others(tmp_path, name):
    sound(tmp_path / "a.wav")
    sound(tmp_path / "deep" / "b.flac")
    lines = [
        {"audio": "a.wav", "text": "one", "language": "de", "set": "near"},
        {"audio_filepath": str(tmp_path / "deep" / "b.flac"), "text": "two", "duration": 1.5},
    ]
    manifest = tmp_path / name
    manifest.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    read = load(manifest if name == "train.json" else tmp_path)
    assert [(r.id, r.text, r.language, r.set) for r in read.recordings] == [
        ("a.wav", "one", "de", "near"),
        ("deep/b.flac", "two", None, ""),
    ]
    assert all(r.path.is_file() for r in read.recordings)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('{"audio": "a.wav"', "2: this is no JSON"),
        ('["a.wav"]', "2: expected an object"),
        ('{"text": "x"}', "2: it names no file"),
        ('{"audio": 3, "text": "x"}', "2: audio is not the name"),
        ('{"audio": "a.wav"}', "2: it has no text"),
        ('{"audio": "a.wav", "text": null}', "2: it has no text"),
        ('{"audio": "a.wav", "text": "x", "language": 3}', "2: language and set are text"),
        ('{"audio": "b.wav", "text": "x"}', "2: there is no file b.wav"),
        ('{"audio": "../a.wav", "text": "x"}', r"2: \.\./a.wav is outside"),
        ('{"audio": "/etc/hostname", "text": "x"}', "2: /etc/hostname is outside"),
        ('{"audio": "x/../../a.wav", "text": "x"}', "2: .* is outside"),
        ('{"audio": "a\\u0000.wav", "text": "x"}', "2: audio is not the name"),
        ('{"audio_filepath": "a.wav", "text": "x", "offset": 1.5}', "2: it is a part of a file"),
        ('{"audio": ".", "text": "x"}', "2: there is no file"),
        ('{"audio": "./a.wav", "text": "x"}', "a.wav is there twice"),
        ("[" * 100_000, "2: this is no JSON"),
    ],
)
def test_a_manifest_is_believed_nothing(tmp_path, line, match):
    sound(tmp_path / "in" / "a.wav")
    sound(tmp_path / "a.wav")
    manifest = tmp_path / "in" / "manifest.jsonl"
    manifest.write_text('{"audio": "a.wav", "text": "one"}\n' + line + "\n")
    wrong(tmp_path / "in", match)


def test_a_manifest_has_bounds(tmp_path, monkeypatch):
    for name in "abc":
        sound(tmp_path / f"{name}.wav")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(json.dumps({"audio": f"{n}.wav", "text": "some words"}) for n in "abc"))
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "MAX_RECORDINGS", 2)
        wrong(tmp_path, "more than 2 recordings")
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "MAX_TRANSCRIPT", 9)
        wrong(tmp_path, ":1: its text is longer")
    with monkeypatch.context() as patch:
        patch.setattr(corpus, "MAX_MANIFEST", 100)
        wrong(tmp_path, "larger than 100 bytes")
    manifest.write_bytes(b"\xff\xfe\x00")
    wrong(tmp_path, "not UTF-8")


def test_pairs_and_what_has_no_partner(tmp_path):
    sound(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("one\n two\n")
    sound(tmp_path / "deep" / "b.c.ogg")
    (tmp_path / "deep" / "b.c.txt").write_text("three")
    sound(tmp_path / "alone.wav")
    (tmp_path / "README.txt").write_text("not said anywhere")
    read = load(tmp_path)
    assert read.layout == "pairs"
    assert [(r.id, r.set, r.text) for r in read.recordings] == [
        ("a.wav", "", "one two"),
        ("deep/b.c.ogg", "deep", "three"),
    ]


def test_nothing_to_measure_is_said(tmp_path):
    wrong(tmp_path / "nowhere", "no such folder")
    wrong(tmp_path, "has no recordings with transcripts")
    sound(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("  \n")
    wrong(tmp_path, "not one of its transcripts has a word")


def test_a_limit_takes_evenly():
    assert [r.set for r in load(CLIPS, 9).recordings] == ["clean"] * 3 + ["noisy"] * 4 + ["digits"] * 2
    assert len(load(CLIPS, 1_000).recordings) == 180


def test_the_digest_is_of_names_texts_and_sizes(tmp_path):
    def digest(*lines):
        (tmp_path / "manifest.jsonl").write_text("\n".join(lines))
        return load(tmp_path).digest()

    sound(tmp_path / "a.wav")
    sound(tmp_path / "b.wav")
    a, b = '{"audio": "a.wav", "text": "one"}', '{"audio": "b.wav", "text": "two"}'
    known = digest(a, b)
    assert digest(b, a) == known
    assert digest(a) != known
    assert digest(a, b.replace("two", "too")) != known
    (tmp_path / "b.wav").write_bytes(b"longer" * 10_000)
    assert digest(a, b) != known
