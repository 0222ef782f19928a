"""Telephones of other makers, and the server that they call."""
