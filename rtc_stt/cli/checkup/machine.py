"""The machine: files, memory, codecs; and what of the configuration needs room on it."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

from rtc_stt.cli.checkup.finding import Finding, bad, doubtful, good
from rtc_stt.cli.checkup.gpu_facts import GpuFacts
from rtc_stt.config import Decoding
from signaling.codecs import opus_backend
from signaling.settings import Access, Server

__all__ = ["free_memory", "judge_descriptors", "judge_memory", "look_at_files", "look_at_machine"]

DESCRIPTORS_PER_SESSION, DESCRIPTORS_OF_OWN = 6, 100
"""A peer has a socket for each address of the machine, and its TCP connection; a phone call two for its
media."""

MEMORY_FACTOR = 1.5
"""Of the size of its files: what a model takes with its buffers."""

LOWEST_FREE = 200 * 2**20
"""Bytes on the disk of what is written."""


def look_at_machine(server: Server) -> list[Finding]:
    """Codecs, processors, descriptors."""
    backend = opus_backend()
    without = "without" in backend
    opus = (
        doubtful("Opus", backend, "apt-get install libopus0: lost packets are then mended")
        if without
        else good("Opus", backend)
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    cores = len(os.sched_getaffinity(0))
    return [good("processors", f"{cores} for this process"), opus, judge_descriptors(server, soft)]


def judge_descriptors(server: Server, limit: int) -> Finding:
    """Whether ``MAX_SESSIONS`` fit into the limit of open files."""
    needed = server.max_sessions * DESCRIPTORS_PER_SESSION + DESCRIPTORS_OF_OWN
    says = f"{limit} may be open, {server.max_sessions} sessions need about {needed}"
    if limit >= needed or limit == resource.RLIM_INFINITY:
        return good("open files", says)
    return doubtful(
        "open files", says, f"ulimit -n {needed}, LimitNOFILE= of the unit, or lower MAX_SESSIONS"
    )


def judge_memory(decoding: Decoding, sizes: list[int], free: int, facts: GpuFacts) -> list[Finding]:
    """Whether the models fit.

    Args:
        sizes: bytes of each model's files.
        free: bytes of memory that can be had.
    """
    needed = int(sum(sizes) * MEMORY_FACTOR)
    if not needed:
        return []
    on_gpu = decoding.device != "cpu" and facts.count > 0 and not facts.missing
    if on_gpu and decoding.device_index < len(facts.memory_mb):
        free = int(facts.memory_mb[decoding.device_index] * 2**20)
    about = "GPU memory" if on_gpu else "memory"
    says = f"{free / 2**30:.2f} GiB free, the models need about {needed / 2**30:.2f}"
    if free >= needed:
        return [good(about, says)]
    return [doubtful(about, says, "take smaller models or COMPUTE_TYPE=int8, or end what else is running")]


def look_at_files(access: Access, dead_letters: str) -> list[Finding]:
    """What the server writes: is there room, and may it?"""
    findings = []
    for name, text in (("USAGE_DB", access.usage_db), ("WEBHOOK_DEAD_LETTERS", dead_letters)):
        if not text:
            continue
        path = Path(text).expanduser()
        place = path if path.exists() else path.parent
        if not place.exists():
            findings.append(bad(name, f"there is no folder {path.parent}", "make it, or mount it"))
        elif not os.access(place, os.W_OK):
            findings.append(bad(name, f"{place} cannot be written", "give it to the user who serves"))
        elif shutil.disk_usage(place).free < LOWEST_FREE:
            findings.append(doubtful(name, f"the disk of {place} is nearly full", "make room"))
        else:
            findings.append(good(name, str(path)))
    return findings


def free_memory() -> int:
    """Bytes that can be had without paging (Linux: MemAvailable)."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
