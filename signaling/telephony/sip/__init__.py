"""SIP: a user agent server that takes calls and hears them. Inbound only; it never sends media."""
