"""Makes the CUDA libraries found that CTranslate2 opens by name when the first model is loaded.

CTranslate2's wheel brings the CUDA runtime and opens cuBLAS by its name (and cuDNN, up to the versions that
do their convolutions themselves). The wheels of the extra ``cuda`` put it below ``site-packages/nvidia``,
where no loader looks. A library that is in the process already is found by its name, so they are loaded here,
by their full paths, before anyone asks.
"""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DRIVER", "Library", "find_in_wheels", "loads", "needed", "opened_by_ctranslate2", "preload"]

DRIVER = "libcuda.so.1"
"""Of the NVIDIA driver; comes with it, and in a container from its runtime."""


@dataclass(frozen=True, slots=True)
class Library:
    """One that CTranslate2 opens."""

    name: str
    """Its soname."""
    package: str
    """The wheel that has it."""
    folder: str
    """Where the wheel puts it, below a folder of packages."""


CATALOGUE = (
    # cuBLAS asks for cublasLt by its name, so that comes first.
    Library("libcublasLt.so.12", "nvidia-cublas-cu12", "nvidia/cublas/lib"),
    Library("libcublas.so.12", "nvidia-cublas-cu12", "nvidia/cublas/lib"),
    Library("libcudnn.so.9", "nvidia-cudnn-cu12", "nvidia/cudnn/lib"),
)
"""In the order in which they are loaded."""

_NEVER_NAMED = "libcublasLt.so.12"
"""By CTranslate2; cuBLAS names it."""


def opened_by_ctranslate2() -> bytes | None:
    """The file of the CTranslate2 that is installed here, unread; None where there is none."""
    spec = importlib.util.find_spec("ctranslate2")
    if spec is None or spec.origin is None:
        return None
    for path in (Path(spec.origin).parent.parent / "ctranslate2.libs").glob("libctranslate2*"):
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # type: ignore[return-value]
    return None


def needed(build: bytes | None) -> list[Library]:
    """What a build of CTranslate2 opens, in the order in which it is to be loaded.

    Args:
        build: its file; None: not known, so all that any build opens.
    """
    if build is None:
        return list(CATALOGUE)
    named = {library.name for library in CATALOGUE if build.find(library.name.split(".")[0].encode()) >= 0}
    if any(name.startswith("libcublas") for name in named):
        named.add(_NEVER_NAMED)
    return [library for library in CATALOGUE if library.name in named]


def _open(path: str) -> object:
    return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)


def find_in_wheels(library: Library, folders: Iterable[str] | None = None) -> Path | None:
    """Where the wheel has put a library; None where it is not installed.

    Args:
        folders: of packages; None: those of this process.
    """
    for folder in sys.path if folders is None else folders:
        path = Path(folder or ".") / library.folder / library.name
        if path.is_file():
            return path
    return None


def loads(name: str, open_library: Callable[[str], object] = _open) -> str | None:
    """Whether the loader finds a library by its name: None, or why not, in the loader's words."""
    try:
        open_library(name)
    except OSError as error:
        return str(error)
    return None


def preload(
    folders: Iterable[str] | None = None, open_library: Callable[[str], object] = _open
) -> list[Path]:
    """Load what wheels have brought, once for all of the process; gives what was loaded.

    What the loader finds by itself is left to it: an operator who set ``LD_LIBRARY_PATH`` meant it. Without
    the driver there is nothing to load for.
    """
    if loads(DRIVER, open_library) is not None:
        return []
    loaded = []
    places = sys.path if folders is None else list(folders)
    for library in needed(opened_by_ctranslate2()):
        if loads(library.name, open_library) is None:
            continue
        path = find_in_wheels(library, places)
        if path is not None and loads(str(path), open_library) is None:
            loaded.append(path)
    return loaded
