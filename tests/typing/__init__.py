"""The SDK as its users' type checkers see it: read by mypy (``make types``), never run."""
