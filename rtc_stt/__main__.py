"""``python -m rtc_stt``."""

from __future__ import annotations

import sys

from rtc_stt.cli import main

sys.exit(main())
