"""Accuracy of the fast tier, the accurate tier and of both as routed, and the curve of the thresholds.

``docs/wer.md`` says how it is measured.
"""

__all__: list[str] = []
