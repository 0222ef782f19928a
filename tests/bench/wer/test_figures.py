"""The result: rates, reasons, curves, and what is said of them."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from rtc_stt.bench.wer.figures import figures, rows
from rtc_stt.bench.wer.report import picture, sentence, table
from rtc_stt.config import Routing
from tests.bench.wer.made import heard, piece

ROUTING = Routing(logprob_threshold=0.55, langprob_threshold=0.5, min_words=2)


def corpus(times=1):
    """Of twelve words the fast tier gets four wrong; the router doubts three of them, and a right piece."""
    one = [
        heard(
            "a b c d", piece("a x y z", "a b c d", 0.3, fast_s=2, accurate_s=20), part="near", audio_s=1_800
        ),
        heard("a b c d", piece("a b", "a b", 0.4), piece("c x", "c d", 0.9), part="far", audio_s=900),
        heard("a b c d", piece("A, b. C d!", "a b c d", 0.8), part="near", audio_s=900),
    ]
    return one * times


@pytest.fixture(scope="module")
def result():
    return figures(corpus(20), ROUTING, "cuda")


def test_rates_of_each_way(result):
    rates = result["rates"]["all"]
    assert [rates[way]["wer"]["percent"] for way in ("fast", "accurate", "routed")] == [33.33, 0.0, 8.33]
    assert rates["fast"]["cer"]["percent"] == 33.33
    assert rates["routed_less_fast"]["wer"]["percent"] == -25.0
    assert rates["routed_less_accurate"]["wer"]["percent"] == 8.33
    low, high = rates["fast"]["wer"]["interval_95"]
    assert 0 < low < 33.33 < high < 75
    assert rates["accurate"]["wer"]["interval_95"] == [0.0, 0.0]


def test_rates_of_each_set(result):
    near, far = result["rates"]["sets"]["near"], result["rates"]["sets"]["far"]
    assert (near["recordings"], near["words"], far["recordings"]) == (40, 160, 20)
    assert (near["fast"]["wer"]["percent"], near["routed"]["wer"]["percent"]) == (37.5, 0.0)
    assert (far["fast"]["wer"]["percent"], far["routed"]["wer"]["percent"]) == (25.0, 25.0)
    assert figures([heard("a", piece("a", "a"))], ROUTING, "cpu")["rates"]["sets"] == {}


@pytest.mark.parametrize(
    ("device", "factor", "name"), [("cuda", 1, "GPU seconds"), ("cpu", 0.5, "CPU seconds")]
)
def test_seconds_for_an_hour_of_audio(device, factor, name):
    # An hour in three recordings: 2 + 1 + 1 + 1 s fast, and 20 + 10 of 50 s accurate where it was doubted.
    told = figures(corpus(), ROUTING, device)
    assert told["seconds"] == name
    costs = {
        way: told["rates"]["all"][way]["seconds_per_audio_hour"] for way in ("fast", "accurate", "routed")
    }
    assert costs == {"fast": 5 * factor, "accurate": 50 * factor, "routed": 35 * factor}


def test_what_was_decoded_again_and_why(result):
    assert result["redecoded"] == {
        "pieces": 80,
        "redecoded": 40,
        "percent": 50.0,
        "by_reason": {"low_logprob": 40},
    }
    both = figures([heard("a b", piece("a", "a b", 0.3))], ROUTING, "cpu")
    assert both["redecoded"]["by_reason"] == {"low_logprob": 1, "few_words": 1}


def test_a_busy_machine_is_told(result):
    told = figures(corpus(), ROUTING, "cpu")
    assert told["decodes"] == {
        "fast": {"wall_s": 5, "cpu_s": 2.5},
        "accurate": {"wall_s": 50, "cpu_s": 25},
        "waited_percent": 50,
    }
    assert "The machine was busy: decodes waited 50.0 %" in table(told)
    told["decodes"]["waited_percent"] = 9.9
    assert "busy" not in table(told)
    # A call on a GPU is waited for.
    assert "waited_percent" not in result["decodes"]
    assert "busy" not in table(result)


def test_the_configuration_and_the_curve_agree(result):
    assert result["routing"] == {
        "CONF_LOGPROB_THRESHOLD": 0.55,
        "CONF_LANGPROB_THRESHOLD": 0.5,
        "MIN_WORDS_FOR_CONF": 2,
    }
    routed = result["rates"]["all"]["routed"]
    for key, value in result["routing"].items():
        [here] = [p for p in result["sweep"][key] if p["from"] <= value <= p["to"]]
        assert here["wer_percent"] == routed["wer"]["percent"]
        assert here["seconds_per_audio_hour"] == routed["seconds_per_audio_hour"]
        assert here["redecoded_percent"] == result["redecoded"]["percent"]


def test_the_recommendation_is_a_point_of_the_front(result):
    best = result["recommended"]
    assert best["set"] == f"{best['key']}={best['value']:g}"
    [point] = [p for p in result["sweep"][best["key"]] if p["from"] <= best["value"] <= p["to"]]
    assert point["front"]
    assert point["wer_percent"] == best["wer"]["percent"]
    assert best["less_configured"]["wer"]["percent"] == pytest.approx(
        best["wer"]["percent"] - result["rates"]["all"]["routed"]["wer"]["percent"], abs=0.01
    )


def test_the_result_is_json_and_the_same_each_time(result):
    assert json.loads(json.dumps(result)) == json.loads(json.dumps(figures(corpus(20), ROUTING, "cuda")))


def test_a_row_for_each_recording():
    first, second, _ = rows(corpus(), ROUTING)
    assert (first["id"], first["set"], first["audio_s"]) == ("a.wav", "near", 1800)
    assert (first["text"], first["fast"], first["routed"]) == ("a b c d", "a x y z", "a b c d")
    assert [p["redecoded"] for p in second["pieces"]] == [True, False]
    assert first["pieces"] == [
        {
            "confidence": 0.3,
            "language": "en",
            "language_probability": 0.98,
            "words": 4,
            "redecoded": True,
            "reasons": ["low_logprob"],
            "decode_s": {"fast": {"wall": 2, "cpu": 1}, "accurate": {"wall": 20, "cpu": 10}},
        }
    ]
    [failed] = rows([heard("a", piece(None, "a"))], ROUTING)
    assert failed["pieces"][0]["reasons"] == ["decode_error"]
    assert "confidence" not in failed["pieces"][0]


# ── In words, and drawn ──────────────────────────────────────────────────────


def test_the_table_has_every_figure(result):
    told = table(result)
    assert "60 recordings, 1200.0 minutes, 240 words" in told
    assert "GPU seconds an audio hour" in told
    for name, rate, seconds in (("fast", "33.33", "5"), ("accurate", "0.00", "50"), ("routed", "8.33", "35")):
        [line] = [line for line in told.splitlines() if line.startswith(f"{name:10}")]
        assert rate in line
        assert line.split()[-1] == seconds
    assert "decoded again: 40 of 80 pieces (50.0 %); reasons: low_logprob 40" in told
    assert "routed less fast: -25.00 points" in told
    assert told.splitlines()[-1] == sentence(result)
    assert max(map(len, told.splitlines()[:-1])) <= 100


def changed(result, key, value, /, **best):
    made = json.loads(json.dumps(result))
    made["routing"][key] = value
    made["recommended"] |= {"key": key, **best}
    return made


def test_one_sentence_says_what_to_set(result):
    best = {"set": "MIN_WORDS_FOR_CONF=6", "value": 6, "from": 5, "to": 7, "is_knee": True}
    best["less_configured"] = {"wer": {"percent": -2.5, "interval_95": [-4.0, -1.0]}}
    said = sentence(changed(result, "MIN_WORDS_FOR_CONF", 2, **best))
    assert said.startswith("Set MIN_WORDS_FOR_CONF=6 (now 2): it is the knee, ")
    assert "instead of 8.33 % at 35; -2.50 points [-4.00, -1.00], more than chance." in said
    best["less_configured"]["wer"]["interval_95"] = [-4.0, 0.0]
    assert "no more than chance" in sentence(changed(result, "MIN_WORDS_FOR_CONF", 2, **best))
    said = sentence(changed(result, "MIN_WORDS_FOR_CONF", 7, **best))
    assert said.startswith("Leave MIN_WORDS_FOR_CONF=7: it is the knee, ")
    said = sentence(changed(result, "MIN_WORDS_FOR_CONF", 7, **best | {"is_knee": False}))
    assert "the better end of a curve without a bend" in said


def test_it_says_how_settled_that_is(result):
    settled = {"value_95": [0.5, 0.7], "unseen_wer_percent": 4.2}
    said = sentence(changed(result, "MIN_WORDS_FOR_CONF", 2, stability=settled))
    assert "it falls on 0.5 to 0.7 (95 %), with 4.20 % WER on those left out." in said
    settled = {"value_95": [0.5, 0.5], "unseen_wer_percent": None}
    assert "it falls on 0.5 (95 %)." in sentence(changed(result, "MIN_WORDS_FOR_CONF", 2, stability=settled))


def test_it_says_where_one_model_alone_is_enough():
    dear = figures(corpus(20), ROUTING, "cuda")
    assert "alone costs no more" not in sentence(dear)
    cheap = [heard("a b", piece("a x", "a b", 0.3, fast_s=1, accurate_s=1)) for _ in range(20)]
    assert "But the accurate model alone costs no more" in sentence(figures(cheap, ROUTING, "cuda"))
    needless = [heard("a b c d", piece("a b c d", "a b c", 0.3)) for _ in range(20)]
    assert "But the fast model alone costs no more" in sentence(figures(needless, ROUTING, "cuda"))


def test_the_picture_is_svg_and_names_all_curves(result):
    drawn = picture(result)
    ElementTree.fromstring(drawn)  # noqa: S314 - our own
    for name in ("by confidence", "by language", "by words", "fast alone", "accurate alone"):
        assert f">{name}</text>" in drawn
    assert "GPU seconds an audio hour" in drawn
    assert drawn.count("<svg") == 1


def test_without_speech_a_recording_still_counts():
    told = figures([heard("a b"), heard("a b", piece("a b", "a b"))], ROUTING, "cpu")
    assert told["rates"]["all"]["routed"]["wer"]["percent"] == 50.0
    assert told["redecoded"]["pieces"] == 1
    assert told["rates"]["all"]["fast"]["seconds_per_audio_hour"] == 0.2
