"""Measure decodes on replicas, see ``__main__``."""
