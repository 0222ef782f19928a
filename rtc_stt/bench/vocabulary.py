"""A made-up tokenizer with the layout of OpenAI's multilingual one: 51,865 ids, the special ones in place.

=================  ==================================================================
0 … 255            the bytes
256 … 50255        made-up words; the first ones are the numbers of ``WORDS``
50256              ``""``, by which CTranslate2 (4.8 and later) knows a multilingual model
50257, 50258       ``<|endoftext|>``, ``<|startoftranscript|>``
50259 … 50357      the languages
50358 … 50363      translate, transcribe, startoflm, startofprev, nospeech, notimestamps
50364 … 51864      ``<|0.00|>`` … ``<|30.00|>``
=================  ==================================================================
"""

from __future__ import annotations

import itertools
import string

from faster_whisper.tokenizer import _LANGUAGE_CODES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

__all__ = ["FIRST_WORD", "SIZE", "WORDS", "language_ids", "listing", "token_id", "tokenizer"]

SIZE = 51_865
FIRST_WORD = 256
"""Id of the first of ``WORDS``."""

WORDS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty",
    "forty", "fifty", "sixty",
)  # fmt: skip

_TEXT = 50_256
_LANGUAGES = [code for code in _LANGUAGE_CODES if code != "yue"]  # which came with large-v3
_SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{code}|>" for code in _LANGUAGES),
    *("<|translate|>", "<|transcribe|>", "<|startoflm|>"),
    *("<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
]
_TIMESTAMPS = [f"<|{index * 0.02:.2f}|>" for index in range(1501)]


def tokenizer() -> Tokenizer:
    """The tokenizer. It decodes any id; it encodes text by bytes, since it knows no merges."""
    letters = itertools.product(string.ascii_lowercase, repeat=4)
    made_up = ("".join(four) for four in letters)
    words = itertools.chain(WORDS, (word for word in made_up if word not in WORDS))
    spaced = ("Ġ" + word for word in itertools.islice(words, _TEXT - FIRST_WORD))  # Ġ: a space before it
    tokens = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *spaced, ""]
    made = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in _SPECIAL])
    made.add_tokens([AddedToken(t, special=False, normalized=False) for t in _TIMESTAMPS])
    return made


def listing(made: Tokenizer) -> list[str]:
    """All tokens by id, as CTranslate2's vocabulary wants them."""
    by_id = {index: token for token, index in made.get_vocab().items()}
    return [by_id[index] for index in range(len(by_id))]


def token_id(made: Tokenizer, token: str) -> int:
    """The id of a token that is there."""
    found: int | None = made.token_to_id(token)
    assert found is not None, token
    return found


def language_ids(made: Tokenizer) -> dict[str, int]:
    """Ids of the language tokens by code."""
    return {code: token_id(made, f"<|{code}|>") for code in _LANGUAGES}
