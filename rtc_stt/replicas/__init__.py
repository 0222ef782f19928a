"""Decoding on other machines: replicas of an engine, wherever they run, and the gateway's side of them.

Nothing in here knows Ray: :mod:`rtc_stt.ray_serve` puts a :class:`~rtc_stt.replicas.server.DecodeServer` into
each of its replicas, and tells gateways where they are. See ``docs/fleet.md``.
"""

__all__: list[str] = []
