"""Measurements of the HTTP services, started as a user starts them."""
