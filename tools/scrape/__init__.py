"""The services as they are run, a real Prometheus that scrapes them as we configure it, and traffic."""
