"""The benchmark of realtime turns: speech with known times goes in, and what comes back is timed.

``docs/turns.md`` says how, and what each figure means. Nothing is measured by a detector, ours or another's.
"""

__all__: list[str] = []
