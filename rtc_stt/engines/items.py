"""A request on its way through the model, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from rtc_stt.engines.mel import Mel
from rtc_stt.errors import DecodeError
from rtc_stt.hypothesis import DecodeRequest, Hypothesis, Urgency

__all__ = ["Answer", "Item"]

Answer = Hypothesis | DecodeError


@dataclass(slots=True, eq=False)
class Item:
    """A request, what it needs of the model, and its language once that is known."""

    index: int
    request: DecodeRequest
    mel: Mel
    prompt_tokens: int
    beam: int
    budget: int
    """Text tokens that the audio can hold; more were not spoken."""
    language: str
    """Empty until it is detected."""
    language_probability: float = 1.0

    @property
    def is_final(self) -> bool:
        """Whether the answer may become a final."""
        return self.request.urgency is not Urgency.PARTIAL
