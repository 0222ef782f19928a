"""The demo page: plain HTML, CSS and ES modules, served as they lie here (``/`` and ``/web/…``).

There is no build step and nothing is fetched from elsewhere. ``js/transcript.js`` is the place to begin
reading: it turns the events of a session into what the page shows.
"""

from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).parent
"""The folder to serve under ``/web/``; its ``index.html`` is the page at ``/``."""
