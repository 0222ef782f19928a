"""What several gateways share, by way of Redis; where it is not configured none of this is used.

See ``docs/fleet.md``.
"""

__all__: list[str] = []
