"""Several gateways that share limits over Redis: what it costs, and whether it holds."""
