"""Decode workers in Ray Serve: the deployments, and the directory that tells gateways where they are.

The only room that imports Ray; it is imported in Ray's processes only. See ``docs/fleet.md``.
"""

__all__: list[str] = []
