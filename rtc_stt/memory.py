"""How this process asks for memory, and when it looks for what can be given back.

glibc gives each thread that finds the others busy a pool of its own ("arena"), up to eight a core, and each
keeps the most that it ever held. What a server holds then depends on which of its threads happened to meet,
and grows for hours. With two pools it holds what it needs; threads seldom meet, for models and codecs ask for
little.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys

__all__ = ["ARENAS", "THRESHOLDS", "limit_arenas", "settle"]

ARENAS = 2
"""One for the event loop's thread, one for those of the models."""

THRESHOLDS = (1_500, 3, 100)
"""Of the garbage collector (``gc.set_threshold``). While it looks the loop stands still: a millisecond or two
where it looks at the newest objects, four times that where it looks at those of the last four times too, and
tens where it looks at all that many sessions hold. By default the newest are 700, which what they have under
way comes to by chance, again and again. With these a look at all comes after 600,000 objects that stayed, at
the earliest. What a session leaves for it is a hundred small ones: audio is not among them
(``AudioBuffer.release``)."""

_M_ARENA_MAX = -8
"""mallopt(3)."""


def limit_arenas() -> bool:
    """Let the C library keep at most :data:`ARENAS` pools; call it before threads begin.

    Whoever sets ``MALLOC_ARENA_MAX`` or ``GLIBC_TUNABLES`` knows better, and is left alone. False where
    nothing was changed, as with other C libraries than glibc.
    """
    if sys.platform != "linux" or os.environ.keys() & {"MALLOC_ARENA_MAX", "GLIBC_TUNABLES"}:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and mallopt(_M_ARENA_MAX, ARENAS) == 1


def settle() -> None:
    """All is loaded: take what will live as long as the process out of the garbage collector's sight, and let
    it look less often.

    With the demo models these are 75,000 objects, and a full collection that looks at them all blocks the
    loop for 75 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
