"""From what the operator wrote to a model folder: a path as it is, a name fetched once, with progress."""

from __future__ import annotations

import sys
from pathlib import Path

from rtc_stt.engines import store
from rtc_stt.errors import ModelError

__all__ = ["NAMES", "locate"]

REPOSITORIES = {
    "large": "Systran/faster-whisper-large-v3",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
"""Names whose repository does not follow from them."""

NAMES = (
    "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en",
    "large-v1", "large-v2", "large-v3", *REPOSITORIES,
)  # fmt: skip

FILES = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*"]


def locate(path_or_name: str) -> tuple[Path, str]:
    """The folder of a model, and what to call it. A URL is one that :func:`~rtc_stt.engines.store.fetch`
    takes.

    Raises:
        ModelError: there is no such folder or name, or it cannot be fetched.
    """
    if path_or_name.startswith(("http://", "https://")):
        folder = store.fetch(path_or_name, progress=sys.stderr.isatty())
        return folder, folder.name.rsplit("-", 1)[0]
    path = Path(path_or_name).expanduser()
    if path.is_dir():
        return path, path.name
    if path_or_name in NAMES:
        repository = REPOSITORIES.get(path_or_name, f"Systran/faster-whisper-{path_or_name}")
    elif path_or_name.count("/") == 1 and not path_or_name.startswith((".", "/", "~")):
        repository = path_or_name
    else:
        raise ModelError(
            f"there is no model folder {path_or_name!r}, and no model of this name. Names: {', '.join(NAMES)}"
        )
    return _fetch(repository), path_or_name.rsplit("/", 1)[-1]


def _fetch(repository: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=FILES))
    except Exception as error:  # its errors come from three libraries
        raise ModelError(
            f"the model {repository} cannot be fetched ({type(error).__name__}). Is there a network? "
            "Without one, copy the folder here and set its path."
        ) from error
