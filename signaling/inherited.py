"""Sockets that whoever started the process listens on already (sd_listen_fds(3)).

They outlive the process: while it is started again nobody is refused, connections wait in the kernel until
the next one takes them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterator, MutableMapping

from rtc_stt.errors import ConfigError

__all__ = ["FIRST", "inherited_sockets", "taken"]

FIRST = 3
"""SD_LISTEN_FDS_START."""

MAX_SOCKETS = 16
"""One or two are of use."""


def taken(environment: MutableMapping[str, str], pid: int) -> range:
    """The descriptors that are meant for this process, as ``LISTEN_FDS`` and ``LISTEN_PID`` tell; both are
    taken out of the environment, since they are not meant for children.

    Raises:
        ConfigError: they tell no number, or too large a one.
    """
    count, owner = environment.pop("LISTEN_FDS", None), environment.pop("LISTEN_PID", None)
    environment.pop("LISTEN_FDNAMES", None)
    if count is None or owner is None or owner != str(pid):
        return range(0)
    if not (count.isascii() and count.isdigit()) or int(count) > MAX_SOCKETS:
        raise ConfigError(f"LISTEN_FDS: {count[:20]!r} is no number from 0 to {MAX_SOCKETS}")
    return range(FIRST, FIRST + int(count))


@contextlib.contextmanager
def inherited_sockets(*, loopback_only: bool = False) -> Iterator[list[socket.socket]]:
    """Those of this process, none where nobody gave any. They are closed at the end, here and nowhere else.

    Args:
        loopback_only: whether the configuration is of a server that nobody else reaches.

    Raises:
        ConfigError: what was given is no TCP socket that listens, or others reach it.
    """
    with contextlib.ExitStack() as stack:
        found = []
        for descriptor in taken(os.environ, os.getpid()):
            try:
                os.set_inheritable(descriptor, False)
                one = stack.enter_context(socket.socket(fileno=descriptor))
                listens = one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            except OSError as error:
                raise ConfigError(f"descriptor {descriptor} of LISTEN_FDS: {error.strerror}") from error
            if not listens or one.type != socket.SOCK_STREAM or one.family not in _FAMILIES:
                raise ConfigError(f"descriptor {descriptor} of LISTEN_FDS is no TCP socket that listens")
            address = one.getsockname()[0]
            if loopback_only and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
                raise ConfigError(f"LISTEN_FDS: a socket listens on {address}, but HOST is this machine only")
            one.setblocking(False)
            found.append(one)
        yield found


_FAMILIES = (socket.AF_INET, socket.AF_INET6)
