"""Whose calls are taken without a password. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from rtc_stt.errors import ConfigError
from signaling.forwarding import Network, is_one_of

__all__ = ["AllowList", "network_of", "plain_address"]


class AllowList:
    """Addresses and networks.

    Raises:
        ConfigError: one of them is none.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._networks: list[Network] = []
        for text in texts:
            try:
                self._networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise ConfigError(
                    f"SIP_ALLOW: {text!r} is no address or network; write it like 10.0.0.0/8"
                ) from None

    def has(self, address: str) -> bool:
        """Whether it is listed."""
        return is_one_of(plain_address(address), self._networks)


def plain_address(address: str) -> str:
    """An address without its zone; of IPv4 where it is one mapped to IPv6 (RFC 4291 §2.5.5.2)."""
    address = address.partition("%")[0]
    if address.lower().startswith("::ffff:") and "." in address:
        return address[7:]
    return address


def network_of(address: str) -> str:
    """The network that an address is counted with: a /24 of IPv4, a /48 of IPv6; itself where it is none.

    One household or one rented server has as much (RFC 6177).
    """
    try:
        ip = ipaddress.ip_address(plain_address(address))
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))
