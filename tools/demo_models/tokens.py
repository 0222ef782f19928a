"""The vocabulary: byte-level BPE laid out like OpenAI's, 3,113 ids.

=============  ===================================================================================
0 … 1598       256 byte symbols and the merges learnt from the templates
1599           ``""``: its presence makes CTranslate2 (4.8 and later) report a multilingual model
1600, 1601     ``<|endoftext|>``, ``<|startoftranscript|>``
1602 … 1605    one token for each language
1606 … 1611    translate, transcribe, startoflm, startofprev, nospeech, notimestamps
1612 … 3112    ``<|0.00|>`` … ``<|30.00|>``, which must be the last ids
=============  ===================================================================================

faster-whisper derives the number of languages from the distance of nospeech to startoftranscript.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from tools.demo_models.grammar import LANGUAGES, sentence, word_salad

_TEXT_TOKENS = 1600
_SPECIAL = [
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{language}|>" for language in LANGUAGES),
    *("<|translate|>", "<|transcribe|>", "<|startoflm|>"),
    *("<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
]
TIMESTAMP_SECONDS = 0.02
_TIMESTAMPS = [f"<|{index * TIMESTAMP_SECONDS:.2f}|>" for index in range(1501)]
LAST_TIMESTAMP = len(_TIMESTAMPS) - 1
# Sentences the merges are learnt from, and the share of word salads among them.
_CORPUS = {"en": 30_000, "es": 6_000, "de": 6_000, "fr": 6_000}


def build(path: Path) -> None:
    """Learn a tokenizer from the templates.

    Weights belong to one tokenizer: a new one means training from nothing.
    """
    rng = random.Random(1)
    lines = []
    for language, count in _CORPUS.items():
        for _ in range(count):
            lines.append(" " + sentence(language, rng))
            if rng.random() < 0.3:
                lines.append(" " + word_salad(language, rng))
    # faster-whisper suppresses encode(" -")[0] and encode(" '")[0]. Were they not tokens of their
    # own, that would suppress the bare space.
    lines += [" - - - ' ' '"] * 200
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_TEXT_TOKENS - 1,
        show_progress=False,
        # Every byte: faster-whisper encodes symbols such as the music note for its non-speech
        # tokens.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=20,
    )
    tokenizer.train_from_iterator(lines, trainer)
    layout = json.loads(tokenizer.to_str())
    layout["model"]["vocab"][""] = len(layout["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(layout))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in _SPECIAL])
    # Timestamps are added but not special, as in OpenAI's files.
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in _TIMESTAMPS])
    tokenizer.save(str(path))


class Tokens:
    """A tokenizer with the ids that training and decoding need by name."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self.end_of_text = self._id("<|endoftext|>")
        self.start = self._id("<|startoftranscript|>")
        self.languages = {language: self._id(f"<|{language}|>") for language in LANGUAGES}
        self.transcribe = self._id("<|transcribe|>")
        self.previous = self._id("<|startofprev|>")
        self.no_speech = self._id("<|nospeech|>")
        self.no_timestamps = self._id("<|notimestamps|>")
        self._first_timestamp = self._id(_TIMESTAMPS[0])
        self.size: int = self._tokenizer.get_vocab_size()

    def _id(self, token: str) -> int:
        found: int | None = self._tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"the tokenizer lacks {token}")
        return found

    def prompt(self, language: str) -> list[int]:
        return [self.start, self.languages[language], self.transcribe, self.no_timestamps]

    def timestamp(self, seconds: float) -> int:
        return self._first_timestamp + min(LAST_TIMESTAMP, round(seconds / TIMESTAMP_SECONDS))

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode([token for token in ids if token < self.end_of_text])
        return text

    def listing(self) -> list[str]:
        """All tokens by id, as CTranslate2's vocabulary wants them."""
        by_id = {index: token for token, index in self._tokenizer.get_vocab().items()}
        return [by_id[index] for index in range(len(by_id))]
