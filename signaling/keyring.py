"""Which keys are good now: read from ``API_KEYS`` and ``API_KEYS_FILE``, and once more on SIGHUP."""

from __future__ import annotations

import asyncio
import logging
import os
import stat

from rtc_stt.errors import ConfigError
from signaling.auth import Authority
from signaling.key_file import MAX_FILE_BYTES, ApiKey, parse_keys, plain_keys
from signaling.settings import Access, Server
from signaling.usage import Usage

__all__ = ["Keyring", "load_keys"]

log = logging.getLogger(__name__)


class Keyring:
    """Sees that everyone goes by the same keys.

    Args:
        authority: has those of the start.
        usage: is told in whose books they are.
    """

    def __init__(self, server: Server, access: Access, authority: Authority, usage: Usage) -> None:
        self._server = server
        self._access = access
        self._authority = authority
        self._usage = usage
        usage.know(authority.accounts)

    @property
    def has_file(self) -> bool:
        """Whether there is anything to read again."""
        return bool(self._access.api_keys_file)

    async def reload(self) -> None:
        """Read the file again and go by it. If something is wrong with it all stays as it was."""
        try:
            keys = await asyncio.to_thread(load_keys, self._server, self._access)
        except ConfigError as error:
            log.error("the keys stay as they were: %s", error)
            return
        self._authority.replace(keys)
        self._usage.know(self._authority.accounts)
        log.info("%d keys are good now", len(keys))


def load_keys(server: Server, access: Access, *, warn: bool = True) -> list[ApiKey]:
    """All keys; reads the file, so not on the event loop once that serves.

    Args:
        warn: say so where everyone on this machine may read the file.

    Raises:
        ConfigError: the file cannot be read or understood, or holds no key and there is no other; or there
            are no keys and others than this machine could reach the server, without ``ALLOW_OPEN``.
    """
    keys = plain_keys(server.api_keys)
    if access.api_keys_file:
        keys += parse_keys(_read(access.api_keys_file, warn), access.api_keys_file, keys)
        if not keys:
            # A file that was emptied by mistake must not open the server to everyone.
            raise ConfigError(f"{access.api_keys_file}: there is no key in it")
    if not keys and not server.allow_open and not server.is_loopback:
        raise ConfigError(
            f"HOST={server.host} can be reached by others and API_KEYS is empty: set API_KEYS or "
            "API_KEYS_FILE, or say ALLOW_OPEN=true if everyone may use this server."
        )
    return keys


def _read(path: str, warn: bool) -> str:
    try:
        # Without O_NONBLOCK a pipe would be waited for.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"API_KEYS_FILE: {path} is no file")
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"API_KEYS_FILE: {path} cannot be read ({error.strerror})") from error
    if len(raw) > MAX_FILE_BYTES:
        raise ConfigError(f"API_KEYS_FILE: {path} has more than {MAX_FILE_BYTES // 1024} KiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"API_KEYS_FILE: {path} is not UTF-8") from None
    if warn and mode & stat.S_IROTH:
        log.warning("every user of this machine can read the keys in %s: chmod o-r", path)
    return text
