"""Hypothesis profiles.

The default is repeatable; ``HYPOTHESIS_PROFILE=thorough`` searches long and at random.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow],
    "phases": [Phase.explicit, Phase.generate, Phase.shrink],
}
settings.register_profile("fast", max_examples=100, derandomize=True, **COMMON)
settings.register_profile("thorough", max_examples=1_500, **COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))
