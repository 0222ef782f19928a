"""Measurements of the decode engine on the committed test clips; no network, no clock."""
