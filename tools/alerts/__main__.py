"""Write the rules."""

from __future__ import annotations

from pathlib import Path

from tools.alerts.objectives import alerts, recording_rules

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"


def main() -> None:
    """Both files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "slo.rules.yml").write_text(recording_rules())
    (FOLDER / "alerts.rules.yml").write_text(alerts())


if __name__ == "__main__":
    main()
