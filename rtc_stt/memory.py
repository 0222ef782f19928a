"""How this process asks for memory.

glibc gives each thread that finds the others busy a pool of its own ("arena"), up to eight a core, and each
keeps the most that it ever held. What a server holds then depends on which of its threads happened to meet,
and grows for hours. With two pools it holds what it needs; threads seldom meet, for models and codecs ask for
little.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["ARENAS", "limit_arenas"]

ARENAS = 2
"""One for the event loop's thread, one for those of the models."""

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
