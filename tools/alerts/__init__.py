"""The rules of Prometheus, made from the objectives: ``python -m tools.alerts`` writes
``deploy/prometheus/*.rules.yml``."""
