"""The page of a result in a real browser: at every width, light, dark and on paper."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, async_playwright

from rtc_stt.bench.turns.report import page
from tests.turn_results import Kind, made

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

HOSTILE = '<img src="http://127.0.0.1:9/x" onerror="document.title=1"><script>document.title=2</script>'


ASKED: list[str] = []
SAID: list[str] = []
WIDTHS = (1280, 768, 390, 360)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Page]:
    """A page of two results, one of which has a name that would like to act."""
    path = tmp_path_factory.mktemp("page") / "turns.html"
    text = page([made(turns=6), made(Kind(name=HOSTILE, decode_ms=600), seed=2, turns=6)])
    path.write_text(text, encoding="utf-8")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, headless=True, args=["--disable-gpu"]
        )
        tab = await browser.new_page(color_scheme="dark")
        tab.on("request", lambda request: ASKED.append(request.url))
        tab.on("console", lambda message: SAID.append(message.text))
        await tab.goto(path.as_uri(), timeout=60_000)
        yield tab
        await browser.close()


async def test_it_asks_for_nothing_and_runs_nothing(tab: Page) -> None:
    assert [tab.url] == ASKED
    assert SAID == []
    assert await tab.title() == "2 recognisers side by side: how long from the end of speech to the final"
    assert await tab.locator("img, script").count() == 0


async def test_it_fits_every_width(tab: Page) -> None:
    for width in WIDTHS:
        await tab.set_viewport_size({"width": width, "height": 800})
        assert await tab.evaluate("document.documentElement.scrollWidth") == width
        shown = await tab.evaluate(
            "[...document.querySelectorAll('figure.turn svg')]"
            ".filter(s => s.getBoundingClientRect().width > 0).map(s => s.getAttribute('class'))"
        )
        assert set(shown) == {"narrow" if width <= 640 else "wide"}


async def test_colours_follow_the_reader_and_paper_is_light(tab: Page) -> None:
    colour = "getComputedStyle(document.body).color"
    dark = await tab.evaluate(colour)
    await tab.emulate_media(color_scheme="light")
    light = await tab.evaluate(colour)
    await tab.emulate_media(media="print", color_scheme="dark")
    assert await tab.evaluate(colour) == light != dark
    assert (await tab.pdf(format="A4")).startswith(b"%PDF")
