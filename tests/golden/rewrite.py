"""``python -m tests.golden.rewrite``: keep the events as they are now. Review the change as a diff."""

from __future__ import annotations

from tests.golden.scenarios import SCENES, path_of, written


def main() -> None:
    """Write every file, and remove those of scenes that are gone."""
    for name, scene in SCENES.items():
        path_of(name).write_text(written(scene()), encoding="utf-8")
    for path in path_of("x").parent.glob("*.jsonl"):
        if path.stem not in SCENES:
            path.unlink()


if __name__ == "__main__":
    main()
