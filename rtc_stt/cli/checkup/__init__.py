"""What ``rtc-stt doctor`` looks at: each room gathers facts, and judges them in functions of facts alone."""

__all__: list[str] = []
