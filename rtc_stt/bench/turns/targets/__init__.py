"""An adapter for each kind of recogniser; see :mod:`rtc_stt.bench.turns.target`."""

__all__: list[str] = []
