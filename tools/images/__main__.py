"""Write the lists of packages that the images are built of."""

from __future__ import annotations

from tools.images.requirements import FILES, FOLDER, render

if __name__ == "__main__":
    for name in FILES:
        (FOLDER / name).write_text(render(name), encoding="utf-8")
