"""What the tests of the page share: a visitor in front of a real Chromium, with a file for a microphone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest_asyncio
from playwright.async_api import Page, Playwright, async_playwright

from rtc_stt.audio import Samples
from tests.e2e import support
from tests.e2e.support import silence

FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

LEAD_S, GAP_S = 2.5, 1.2
"""Silence before and after what the microphone says; it says it again and again."""

CONNECTED_BEFORE_MS = 500
"""Speech that begins later than this in the session was heard from its first sound."""

WATCH_THE_PAGE = """
  window.shown = [];
  new MutationObserver(() => {
    const line = [...document.querySelectorAll('[data-testid=utterance]')].at(-1);
    if (!line || !window.rtcStt) return;
    const find = (name) => line.querySelector(`[data-testid=${name}]`).textContent;
    window.shown.push({
      last: window.rtcStt.events.at(-1)?.type, state: line.dataset.state, text: find('text'),
      utterance: line.dataset.utteranceId,
    });
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
"""

Visit = Callable[..., Awaitable["Visitor"]]


class Visitor:
    """Someone in front of the page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.complaints: list[str] = []
        """What the console said."""
        page.on("console", lambda m: m.type in ("error", "warning") and self.complaints.append(m.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def find(self, name: str) -> Any:
        return self.page.get_by_test_id(name)

    async def state(self, wanted: str, seconds: float = 20) -> None:
        await self.page.locator(f'[data-testid="state"][data-state="{wanted}"]').wait_for(
            timeout=seconds * 1000
        )

    async def start(self) -> None:
        await self.find("start").click()
        await self.state("live")

    async def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        return await self.page.evaluate(
            "kind => window.rtcStt.events.filter(event => kind === null || event.type === kind)", kind
        )

    async def until(self, condition: str, argument: object = None, seconds: float = 20) -> None:
        """Wait for a JavaScript condition on ``events`` and ``wanted``."""
        await self.page.wait_for_function(
            f"wanted => {{ const events = window.rtcStt.events; return {condition}; }}",
            arg=argument,
            timeout=seconds * 1000,
        )

    async def utterance(self, number: int = 1, seconds: float = 25) -> dict[str, Any]:
        """The final of the ``number``-th utterance that was heard as a whole."""
        whole = (
            f"events.filter(e => e.type === 'transcript.final' && e.audio_start_ms > {CONNECTED_BEFORE_MS})"
        )
        await self.until(f"{whole}.length >= wanted", number, seconds)
        return await self.page.evaluate(
            f"number => {{ const events = window.rtcStt.events; return {whole}[number - 1]; }}", number
        )

    async def screenshot(self, name: str) -> None:
        support.OUTPUT.mkdir(exist_ok=True)
        await self.page.screenshot(path=support.OUTPUT / f"{name}.png", full_page=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def visit(playwright: Playwright, chromium: str, demo: str, tmp_path: Path) -> AsyncIterator[Visit]:
    """Opens the page in a browser of its own: ``visit(says=…)``. Nothing may show in its console."""
    browsers, visitors = [], []

    async def open_page(
        *,
        says: Samples | None = None,
        microphone: bool = True,
        url: str = demo,
        script: str = "",
        **context: Any,
    ) -> Visitor:
        voice = np.concatenate([silence(LEAD_S), silence(0) if says is None else says, silence(GAP_S)])
        file = support.write_wav(tmp_path / "microphone.wav", voice)
        flags = [*FLAGS, "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={file}"]
        if microphone:
            flags.append("--use-fake-ui-for-media-stream")
        browser = await playwright.chromium.launch(executable_path=chromium, headless=True, args=flags)
        browsers.append(browser)
        page = await (await browser.new_context(**context)).new_page()
        visitors.append(Visitor(page, url))
        await page.add_init_script(WATCH_THE_PAGE + script)
        await page.goto(url)
        await page.locator(
            '[data-testid="sample"]'
        ).first.wait_for()  # what the server says of itself is there
        return visitors[-1]

    yield open_page
    for browser in browsers:
        await browser.close()
    complaints = [visitor.complaints for visitor in visitors]
    assert not any(complaints), complaints
