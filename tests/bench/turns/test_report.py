"""The table and the page: all figures are there, nothing acts, and everybody can read them."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc_stt.bench.turns.report import page, table
from rtc_stt.bench.turns.report.figures import clean, number
from rtc_stt.bench.turns.report.terminal import WIDTH
from tests.turn_results import Kind, made

PEERS = (
    Kind(),
    Kind(name="WhisperLive", decode_ms=700, first_ms=1_200, unsteady=0.4, has_endpoints=False, lost=0.1),
    Kind(name="a recogniser with a name that is much too long", decode_ms=1_300, has_partials=False),
)
VOID = {"p50": 3.0, "p95": 20.0, "p99": 31.5, "n": 9}

HOSTILE = '</title></svg><script>alert(1)</script><img src=x onerror="alert(1)">\x1b[2J\u202e\ud800\x00&amp;'


def many(**own):
    return [made(kind, seed=seed, turns=4, **own) for seed, kind in enumerate(PEERS)]


def hostile():
    """A result in which every text would like to act."""
    one = made(turns=2, target={"name": HOSTILE, "models": {HOSTILE: HOSTILE}}, condition={HOSTILE: HOSTILE})
    one.rows = [
        replace(row, set=HOSTILE, said=HOSTILE, heard=HOSTILE, turn=HOSTILE, word_errors=1)
        for row in one.rows
    ]
    for told in one.timelines:
        told["set"] = HOSTILE
        for turn in told["turns"]:
            turn["text"], turn["words"] = HOSTILE, [(HOSTILE, 400.0, 700.0)]
        for event in told["events"]:
            if "text" in event:
                event["text"] = HOSTILE
    return one


class Reader(HTMLParser):
    """Notes tags, ids and texts; void tags are those of HTML."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.attributes, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} ends at {self.getpos()}"

    def handle_data(self, data):
        self.texts.append(data)


def test_the_table_says_what_was_measured_first_and_fits():
    lines = table([made(turns=4)]).splitlines()
    assert lines[0] == "rtc-stt: 20 turns in 1 round, 1 speaker at a time, clean, hangover 500 ms"
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines[1:] if re.match(r"\S+ +\d+ ", line)] == 2 * [
        "back-to-back", "pauses-300", "pauses-600", "single", "whisper", "all",
    ]  # fmt: skip


def test_the_table_tells_the_figures_of_the_summary():
    one = made(turns=4)
    summary = one.summary["all"]
    row = next(line for line in table([one]).splitlines() if line.startswith("all"))
    names = ("ttfs_ms", "ttfs_less_hangover_ms")
    expected = [summary[name][p] for name in names for p in ("p50", "p95", "p99")]
    expected += [summary[name][p] for name in ("eou_ms", "ttfp_ms", "wel_ms") for p in ("p50", "p95")]
    assert row.split() == ["all", "20", *(f"{value:.0f}" for value in expected)]


def test_results_stand_side_by_side_in_the_table():
    text = table(many())
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.count("WhisperLive ") >= 12  # in each set and in all, of both blocks
    assert text.startswith("rtc-stt, WhisperLive, a recogniser")


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"send_lag_ms": VOID}, "VOID: frames left late (p99 31.5 ms)"),
        ({"interrupted": True}, "INTERRUPTED"),
        ({"failures": 3}, "refused or dropped a line 3 times"),
    ],
)
def test_what_is_wrong_is_said_loudly(own, said):
    one = made(turns=2, **own)
    assert f"!! {said}" in table([one]) or said in table([one]).splitlines()[1]
    assert re.search(rf'<p class="alarm" role="alert">[^<]*{re.escape(said)}', page([one]))


def test_a_sound_result_has_no_alarm():
    assert 'class="alarm"' not in page([made(turns=2)])
    assert "!!" not in table([made(turns=2)])


@pytest.mark.parametrize("results", [[made(turns=3)], many(), [hostile()], [hostile(), hostile()]])
def test_the_page_is_whole(results):
    text = page(results)
    read = Reader(text)
    assert not read.open
    assert len(read.ids) == len(set(read.ids))
    labels = [value for _, name, value in read.attributes if name == "aria-labelledby"]
    assert {one for label in labels for one in label.split()} <= set(read.ids)
    assert read.tags.count("table") == read.tags.count("caption") > 0
    scopes = [value for tag, name, value in read.attributes if (tag, name) == ("th", "scope")]
    assert read.tags.count("th") == len(scopes) > 0
    text.encode("utf-8")


@pytest.mark.parametrize("results", [[made(turns=3)], many(), [hostile()]])
def test_the_page_asks_for_nothing_and_runs_nothing(results):
    text = page(results)
    read = Reader(text)
    assert not {"script", "img", "link", "iframe", "object", "form", "a"} & set(read.tags)
    names = {name for _, name, _ in read.attributes}
    assert not names & {"src", "href", "style", "srcset", "xlink:href", "action"}
    assert not any(name.startswith("on") for name in names)
    assert "@import" not in text
    assert re.findall(r"url\([^)]*\)", text) == ["url(#hatch)"]
    policy = next(v for _, n, v in read.attributes if n == "content" and "default-src" in v)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


def test_hostile_texts_are_shown_and_do_not_act():
    text = page([hostile()])
    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r"[\x00\x1b\u202e\ud800]", text)
    assert "&lt;script&gt;" in text
    shown = table([hostile()])
    assert not re.search(r"[\x00\x1b\u202e\ud800]", shown)


def test_the_page_has_its_parts():
    text = page([made(turns=4)])
    for title in (
        "TTFS: share of turns by time", "TTFP: share of turns by time", "TTFS of each turn",
        "Where the time goes", "Word errors beside latency", "Turns as they went", "False cut-offs",
        "The slowest turns", "How it was measured", "5f1c22ab90de1188", "1a2b3c4",
    ):  # fmt: skip
        assert title in text, title


def test_a_page_of_results_of_one_name_tells_them_apart():
    text = page([made(turns=2), made(turns=2, speakers=8), made(turns=2, speakers=8, seed=2)])
    for name in ("rtc-stt, 1 at a time", "rtc-stt, 8 at a time (B)", "rtc-stt, 8 at a time (C)"):
        assert f'<th scope="row">{name}</th>' in text


def test_a_page_needs_a_result():
    with pytest.raises(ValueError, match="needs a result"):
        page([])


def test_a_result_without_a_turn_has_a_page_too():
    empty = made(turns=0, interrupted=True)
    assert not Reader(page([empty])).open
    assert "all" in table([empty])


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({}, "clean"),
        ({"name": "telephone", "telephone": True}, "telephone"),
        (
            {"noise": "babble", "snr_db": 10, "telephone": True, "network": {"loss": None}},
            "noise babble, snr db 10",
        ),
    ],
)
def test_the_condition_is_told_in_words(condition, said):
    assert f", {said}, " in table([made(turns=1, condition=condition)]).replace("\n  ", "")


def test_a_result_for_the_cost_says_so():
    assert "for the cost only" in table([made(turns=2, cost_only=True)])


def test_where_nothing_is_known_a_dash_stands():
    assert [number(None), number(True), number(-3.4), number(0.126, 2)] == ["–", "–", "−3", "0.13"]


@settings(max_examples=12)
@given(st.text(st.characters(), max_size=20))
def test_whatever_is_said_the_page_stays_whole(said):
    one = made(turns=1)
    one.rows = [replace(row, said=said, heard=said, word_errors=1) for row in one.rows[:1]]
    for told in one.timelines:
        told["turns"][0]["text"] = said
        for event in told["events"]:
            if "text" in event:
                event["text"] = said
    text = page([one])
    assert not Reader(text).open
    text.encode("utf-8")
    assert clean(clean(said)) == clean(said)
