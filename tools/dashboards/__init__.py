"""The dashboards of Grafana: ``python -m tools.dashboards`` writes ``deploy/grafana/dashboards/*.json``."""
