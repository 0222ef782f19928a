"""What the model is told before the text begins. Works on token ids; no model in here."""

from __future__ import annotations

from typing import Any

from rtc_stt.hypothesis import DecodeRequest

__all__ = ["MAX_LENGTH", "MAX_PROMPT", "build_prompt"]

MAX_LENGTH = 448
"""Positions of Whisper's decoder: prompt and text together."""

MAX_PROMPT = MAX_LENGTH // 2 - 1
"""Tokens that hotwords, prompt and context may have together."""

CONTEXT_STEP = 8
"""Context is cut so that the whole has a multiple of this many tokens: only prompts of one length can share a
call, and contexts are of any length. At most seven tokens of its beginning are lost."""


def build_prompt(tokenizer: Any, request: DecodeRequest) -> list[int]:
    """Token ids up to ``<|notimestamps|>``: ``<|startofprev|>`` hotwords, prompt, context, then the task.

    What was said last tells most about what comes next, so of prompt and context the end is kept. Their
    number does not depend on the tokenizer's language.
    """
    hotwords = _encode(tokenizer, request.hotwords)[:MAX_PROMPT]
    room = MAX_PROMPT - len(hotwords)
    context = _last(_encode(tokenizer, request.context), room)
    before = _last(_encode(tokenizer, request.prompt), room - len(context))
    surplus = (len(hotwords) + len(before) + len(context)) % CONTEXT_STEP
    if len(context) >= surplus + CONTEXT_STEP:
        context = context[surplus:]
    told = [*hotwords, *before, *context]
    start = [tokenizer.sot_prev, *told] if told else []
    return [*start, *tokenizer.sot_sequence, tokenizer.no_timestamps]


def _encode(tokenizer: Any, text: str | None) -> list[int]:
    return list(tokenizer.encode(" " + text.strip())) if text else []


def _last(tokens: list[int], count: int) -> list[int]:
    return tokens[len(tokens) - min(len(tokens), count) :]
