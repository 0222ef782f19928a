"""The benchmark behind ``rtc-stt bench``: what decoding costs, and what a machine carries.

Every figure is measured against the definitions in ``docs/benchmarks.md``, and every result names the
machine, versions and data that it belongs to.
"""

__all__: list[str] = []
