"""Clients of other makers, each in a process of its own."""
