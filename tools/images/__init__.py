"""What goes into the images: which packages, and rules for the Dockerfile."""

from __future__ import annotations

__all__: list[str] = []
