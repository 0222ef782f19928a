"""Sizes of the models, apart from `model` so that the command line's help needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    width: int
    encoder_layers: int
    decoder_layers: int
    heads: int


SHAPES = {
    # Weak on purpose: a first stage whose mistakes the second can mend.
    "demo-tiny": Shape(128, 1, 1, 4),
    # What both shipped models are grown from; not shipped itself.
    "demo-small": Shape(128, 2, 2, 4),
    "demo-medium": Shape(128, 6, 2, 4),
}
