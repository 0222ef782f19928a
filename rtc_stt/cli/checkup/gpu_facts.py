"""What is known of GPUs and the libraries for them: asked of the machine, judged elsewhere."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rtc_stt import cuda_libraries
from rtc_stt.gpu import GpuMonitor

__all__ = ["GpuFacts", "gather"]


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """See above."""

    devices: tuple[str, ...] = ()
    """Device files: ``/dev/nvidia0`` …"""
    readable: bool = True
    """Whether this user may open them."""
    driver_error: str | None = None
    """Why the driver's library cannot be opened; None where it can."""
    init_code: int = 0
    """What ``cuInit`` gives; 0 is success."""
    driver_version: int = 0
    """The newest CUDA that the driver knows: 12040 is 12.4; 0: not known."""
    build_has_cuda: bool = True
    """Whether this build of CTranslate2 can use a GPU at all."""
    count: int = 0
    """GPUs that CTranslate2 sees."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Libraries that it will ask for and not find, with the loader's words."""
    in_wheels: frozenset[str] = frozenset()
    """Of the missing ones, those whose wheel is installed."""
    newer_found: bool = False
    """Whether the libraries of CUDA 13 are there."""
    compute_types: frozenset[str] = frozenset()
    """That the GPU can do."""
    visible: str | None = None
    """``CUDA_VISIBLE_DEVICES``."""
    memory_mb: tuple[float, ...] = ()
    """Free memory of each GPU, where NVML tells."""


def gather(index: int) -> GpuFacts:
    """Ask this machine.

    Args:
        index: the GPU whose compute types are asked for.
    """
    import ctranslate2

    build = cuda_libraries.opened_by_ctranslate2()
    devices = tuple(sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*")))
    driver_error = cuda_libraries.loads(cuda_libraries.DRIVER)
    init_code, version = (0, 0) if driver_error else _ask_driver()
    missing: dict[str, str] = {}
    count, types = 0, frozenset[str]()
    if driver_error is None and init_code == 0:
        cuda_libraries.preload()
        for library in cuda_libraries.needed(build):
            if why := cuda_libraries.loads(library.name):
                missing[library.name] = why
        count = ctranslate2.get_cuda_device_count()
        if index < count:
            types = frozenset(ctranslate2.get_supported_compute_types("cuda", index))
    wheels = {library.name for library in cuda_libraries.CATALOGUE if cuda_libraries.find_in_wheels(library)}
    return GpuFacts(
        devices=devices,
        readable=all(os.access(path, os.R_OK | os.W_OK) for path in devices),
        driver_error=driver_error,
        init_code=init_code,
        driver_version=version,
        build_has_cuda=bool(cuda_libraries.needed(build)),
        count=count,
        missing=missing,
        in_wheels=frozenset(wheels & missing.keys()),
        newer_found=cuda_libraries.loads("libcublas.so.13") is None,
        compute_types=types,
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
        memory_mb=tuple(r.mem_total_mb - r.mem_used_mb for r in GpuMonitor().read()),
    )


def _ask_driver() -> tuple[int, int]:
    """What the driver says of itself (CUDA Driver API: ``cuInit``, ``cuDriverGetVersion``)."""
    driver = ctypes.CDLL(cuda_libraries.DRIVER)
    version = ctypes.c_int(0)
    code = int(driver.cuInit(0))
    driver.cuDriverGetVersion(ctypes.byref(version))
    return code, version.value
