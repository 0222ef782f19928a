"""The network lab: bad networks, lean clients, and what the ingest makes of both."""
