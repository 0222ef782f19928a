"""The C library keeps few pools for threads that collide; the garbage collector looks seldom, but looks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COLLIDE = """
import ctypes, re, threading
from pathlib import Path
from rtc_stt.memory import limit_arenas

limited = limit_arenas()
malloc = ctypes.CDLL(None).malloc  # lets go of the interpreter's lock
malloc.restype = ctypes.c_void_p
malloc.argtypes = [ctypes.c_size_t]
all_there = threading.Barrier(12)  # a thread that has ended leaves its pool to the next one
def ask():
    malloc(1000)
    all_there.wait()
threads = [threading.Thread(target=ask) for _ in range(12)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
info = ctypes.CDLL(None).malloc_info
info.argtypes = [ctypes.c_int, ctypes.c_void_p]
fopen = ctypes.CDLL(None).fopen
fopen.restype = ctypes.c_void_p
file = fopen(b"/dev/stderr", b"w")
info(0, file)
ctypes.CDLL(None).fflush(None)
print(limited)
"""


def pools(**environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", COLLIDE],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout.strip(), done.stderr.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's arenas are Linux's")
@pytest.mark.slow
def test_threads_share_two_pools_unless_the_operator_says_otherwise():
    assert pools() == ("True", 2)
    said, count = pools(MALLOC_ARENA_MAX="5")
    assert said == "False"
    assert count == 5


END_IN_CYCLES = """
import gc
from collections import deque
from rtc_stt.memory import settle

class Call:
    alive = 0
    def __init__(self):
        Call.alive += 1
        self.parts = [[self] for _ in range(100)]
    def __del__(self):
        Call.alive -= 1

settle()
looks = []
gc.callbacks.append(lambda phase, info: looks.append(info["generation"]) if phase == "start" else None)
going_on, most = deque(maxlen=300), 0  # long enough to be old when they end
for _ in range(15_000):
    going_on.append(Call())
    most = max(most, Call.alive)
print(most, looks.count(2), gc.get_freeze_count() > 10_000)
"""


@pytest.mark.slow
def test_what_ends_in_cycles_is_found_though_looks_are_rare():
    done = subprocess.run([sys.executable, "-c", END_IN_CYCLES], capture_output=True, text=True, check=True)
    most, looks, is_frozen = done.stdout.split()
    assert 300 < int(most) < 9_000
    assert 1 <= int(looks) <= 4
    assert is_frozen == "True"
