"""A picture of a page in a file, from a browser: ``python -m tools.picture PAGE.html OUT.png``."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Take it; 1 where there is no browser."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m tools.picture turns.html docs/images/turns-report.png",
    )
    parser.add_argument("page", type=Path, metavar="PAGE.html")
    parser.add_argument("out", type=Path, metavar="OUT.png")
    parser.add_argument("--width", type=int, default=1_280, help="of the window, px (default: 1280)")
    parser.add_argument("--height", type=int, default=0, help="of the picture, px (default: the whole page)")
    parser.add_argument("--only", metavar="SELECTOR", help="the first such element instead, e.g. figure.turn")
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        print("there is no browser: run tools/ensure_chromium.sh", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--disable-gpu"])
        tab = browser.new_page(
            viewport={"width": options.width, "height": options.height or 900},
            color_scheme="dark" if options.dark else "light",
        )
        tab.goto(options.page.resolve().as_uri())
        if options.only:
            tab.locator(options.only).first.screenshot(path=options.out)
        else:
            tab.screenshot(path=options.out, full_page=not options.height)
        browser.close()
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
