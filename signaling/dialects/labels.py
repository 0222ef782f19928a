"""Which dialect a data channel speaks: its label says so. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from signaling.dialects.dialect import Speak
from signaling.dialects.native import LABEL, Native
from signaling.dialects.openai.realtime import LABEL as OPENAI_LABEL
from signaling.dialects.openai.realtime import OVER_CHANNEL
from signaling.dialects.rtvi import LABEL as RTVI_LABEL
from signaling.dialects.rtvi import Rtvi

__all__ = ["LABELS"]

LABELS: Mapping[str, Speak] = {
    LABEL: Native,
    RTVI_LABEL: Rtvi,
    OPENAI_LABEL: OVER_CHANNEL,
}
"""By label. Channels of any other are closed."""
