"""Sentences for training and testing: templates with slots, and salads of their words.

Every word is spelled out (``seven thirty``, never ``7:30``), so the label is exactly the text given
to the synthesiser and no normaliser can blur the two. Templates are data (``templates/*.txt``): one
per line, or several short sentences on one line, which then share that line's weight.

The random calls are part of the format: ``held_out_sentences`` must give the same sentences for
ever, because they are what training leaves out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

from tools.demo_models.paths import RECIPE

Rng = random.Random
Slot = Callable[[Rng], str]


def _each(words: str) -> list[str]:
    """The words as a list: longer lists read better without quotes."""
    return words.split()


LANGUAGES = ("en", "es", "de", "fr")
DIGITS = _each("zero one two three four five six seven eight nine")
_TEENS = _each("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
_TENS = _each("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = [
    *_each("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"),
    *_each("thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth"),
    *_each("nineteenth twentieth"),
    *(f"twenty {unit}" for unit in _each("first second third fourth fifth sixth seventh")),
    "twenty eighth",
    "twenty ninth",
    "thirtieth",
    "thirty first",
]
_DAYS = _each("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_MONTHS = _each("January February March April May June July August September October November December")


def _choice(*options: str) -> Slot:
    """A slot that takes one of the options; repeat an option to make it likelier."""
    return lambda rng: rng.choice(options)


def _words(text: str) -> Slot:
    return _choice(*text.split())


def _below_hundred(rng: Rng) -> str:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(DIGITS[1:])
    if kind < 0.55:
        return rng.choice(_TEENS)
    if kind < 0.75:
        return rng.choice(_TENS)
    return rng.choice(_TENS) + " " + rng.choice(DIGITS[1:])


def _number(rng: Rng) -> str:
    kind = rng.random()
    if kind < 0.75:
        return _below_hundred(rng)
    if kind < 0.9:
        hundreds = rng.choice(DIGITS[1:]) + " hundred"
        return hundreds + ("" if rng.random() < 0.5 else " and " + _below_hundred(rng))
    return _below_hundred(rng) + " thousand"


def _digit_string(digits: list[str], fewest: int, most: int) -> Slot:
    return lambda rng: " ".join(rng.choice(digits) for _ in range(rng.randint(fewest, most)))


def _hour(rng: Rng) -> str:
    return rng.choice([*DIGITS[1:], "ten", "eleven", "twelve"])


def _time(rng: Rng) -> str:
    kind = rng.random()
    if kind < 0.25:
        return _hour(rng) + " o'clock"
    if kind < 0.45:
        return _hour(rng) + " " + rng.choice(["fifteen", "thirty", "forty five", "twenty", "ten"])
    if kind < 0.65:
        return rng.choice(["half past", "quarter past", "quarter to"]) + " " + _hour(rng)
    if kind < 0.85:
        return _hour(rng) + " in the " + rng.choice(["morning", "afternoon", "evening"])
    return rng.choice(["noon", "midnight"])


def _date(rng: Rng) -> str:
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(["", "next ", "this "]) + rng.choice(_DAYS)
    if kind < 0.5:
        return rng.choice(["today", "tomorrow", "tonight", "next week"])
    if kind < 0.75:
        return rng.choice(_MONTHS) + " " + rng.choice(_ORDINALS)
    return "the " + rng.choice(_ORDINALS) + " of " + rng.choice(_MONTHS)


_SLOTS: dict[str, dict[str, Slot]] = {
    "en": {
        "T": _time,
        "D": _date,
        "N": _number,
        "n": _below_hundred,
        "S": _words("two three four five six seven eight nine ten twelve"),
        "G": _digit_string(DIGITS, 3, 8),
        "C": _words(
            "London Paris Berlin Madrid Rome Vienna Lisbon Dublin Oslo Prague Boston Chicago "
            "Denver Seattle Dallas Miami Toronto Sydney Tokyo Delhi"
        ),
        "P": _words("Anna David Maria Peter Emma Oliver Sophie Daniel Laura Thomas Julia Martin"),
        "R": _choice(
            *("kitchen", "bedroom", "living room", "bathroom"),
            *("garage", "hallway", "office", "garden"),
        ),
        "F": _choice(
            *("pizza", "burger", "salad", "sandwich", "coffee", "tea", "soup", "pasta"),
            *("orange juice", "bottle of water", "cheese cake", "chicken wrap"),
        ),
        "d": _choice(*_DAYS),
        "d1": _choice(*DIGITS),
        "please": _choice("", "", " please"),
        "cur": _words("dollars euros pounds"),
        "onoff": _words("on off"),
        "dev": _words("lights light lamp heater fan television radio music"),
        "size": _words("small medium large"),
        "acct": _choice("savings account", "checking account", "credit card", "account"),
        "music": _words("jazz classical rock relaxing"),
        "doc": _choice("doctor", "dentist", "support team", "sales team", "manager"),
    },
    "es": {
        "n": _words("uno dos tres cuatro cinco seis siete ocho nueve diez once doce veinte treinta"),
        "s": _words("dos tres cuatro cinco seis siete ocho"),
        "g": _digit_string(_each("cero uno dos tres cuatro cinco seis siete ocho nueve"), 3, 6),
        "d": _words("lunes martes miércoles jueves viernes sábado domingo"),
        "C": _words("Madrid Barcelona Sevilla Valencia Lima Bogotá"),
        "R": _words("cocina sala habitación oficina"),
        "h": _words("dos tres cuatro cinco seis siete ocho nueve diez"),
    },
    "de": {
        "s": _words("zwei drei vier fünf sechs sieben acht"),
        "n": _words("zwei drei vier fünf sechs sieben acht neun zehn elf zwölf zwanzig dreißig"),
        "g": _digit_string(_each("null eins zwei drei vier fünf sechs sieben acht neun"), 3, 6),
        "d": _words("Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag"),
        "C": _words("Berlin Hamburg München Köln Wien Zürich"),
        "R": _words("Küche Garage Wohnung"),
    },
    "fr": {
        "s": _words("deux trois quatre cinq six sept huit"),
        "n": _words("deux trois quatre cinq six sept huit neuf dix onze douze vingt trente"),
        "g": _digit_string(_each("zéro un deux trois quatre cinq six sept huit neuf"), 3, 6),
        "d": _words("lundi mardi mercredi jeudi vendredi samedi dimanche"),
        "C": _words("Paris Lyon Marseille Bordeaux Nantes Bruxelles"),
        "R": _choice("la cuisine", "la chambre", "le salon", "le bureau"),
    },
}


@cache
def _templates(language: str) -> tuple[list[str], list[float]]:
    """Templates of a language and how likely each is."""
    templates: list[str] = []
    weights: list[float] = []
    for line in (RECIPE / "templates" / f"{language}.txt").read_text("utf-8").splitlines():
        sentences = [part.strip() for part in re.findall(r"[^.?]+[.?]", line)]
        weight = 1.0 if len(sentences) == 1 else 1.2 / len(sentences) + 0.15
        templates += sentences
        weights += [weight] * len(sentences)
    return templates, weights


def _capitalise(text: str) -> str:
    return text[0].upper() + text[1:]


def sentence(language: str, rng: Rng) -> str:
    """One cased, punctuated sentence of the language."""
    templates, weights = _templates(language)
    template = rng.choices(templates, weights)[0]
    slots = _SLOTS[language]
    return _capitalise(re.sub(r"\{(\w+)\}", lambda match: slots[match.group(1)](rng), template))


@cache
def vocabulary(language: str) -> tuple[str, ...]:
    """Every word the templates can make, without capitals that only begin a sentence."""
    rng = random.Random(5)
    words = {word.strip(".,?¿") for _ in range(6000) for word in sentence(language, rng).split()}
    return tuple(
        word for word in sorted(words) if word == "I" or not (word[0].isupper() and word.lower() in words)
    )


def word_salad(language: str, rng: Rng) -> str:
    """Random known words: keeps the decoder listening instead of leaning on the templates."""
    words = [rng.choice(vocabulary(language)) for _ in range(rng.randint(1, 6))]
    return _capitalise(" ".join(words)) + "."


@cache
def held_out_sentences(language: str) -> tuple[str, ...]:
    """Sentences set apart: 300 English ones, 60 of each other language; see the next function.

    Drawn in the order en, es, de, fr from one generator, hence all languages at each call.
    """
    rng = random.Random(777)
    held: dict[str, tuple[str, ...]] = {}
    for name in LANGUAGES:
        wanted, fewest_words = (300, 4) if name == "en" else (60, 3)
        chosen: set[str] = set()
        while len(chosen) < wanted:
            text = sentence(name, rng)
            if len(text.split()) >= fewest_words:
                chosen.add(text)
        held[name] = tuple(sorted(chosen))
    return held[language]


@cache
def held_out_with_slots(language: str) -> tuple[str, ...]:
    """Those of them that a template with slots made: what training leaves out and tests may use.

    A sentence without slots that is held out would take its words with it ('subscription',
    'agent'): training would know these from word salads alone, and a visitor who says the sentence
    would get nonsense.
    """
    fixed = {_capitalise(template) for template in _templates(language)[0] if "{" not in template}
    return tuple(text for text in held_out_sentences(language) if text not in fixed)


@cache
def all_held_out() -> frozenset[str]:
    return frozenset(text for language in LANGUAGES for text in held_out_with_slots(language))
