"""The demo page in a real Chromium, spoken to through a file that it takes for its microphone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rtc_stt.bench.words import word_errors
from tests.e2e.browser import GAP_S, LEAD_S, Visit, playwright, visit
from tests.e2e.support import Clip, silence

__all__ = ["playwright", "visit"]  # fixtures

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


async def test_spoken_words_appear_while_they_are_spoken(
    visit: Visit, sentences: list[Clip], digits: list[Clip]
) -> None:
    sentence, number = sentences[0], digits[0]
    me = await visit(says=np.concatenate([sentence.audio, silence(GAP_S), number.audio]))
    await me.start()
    finals = [await me.utterance(1), await me.utterance(2)]
    await me.screenshot("spoken")
    assert {final["text"] for final in finals} == {sentence.text, number.text}
    shown = await me.page.evaluate("window.shown")
    for final in finals:
        mine = [e for e in await me.events() if e.get("utterance_id") == final["utterance_id"]]
        order = [event["type"] for event in mine]
        assert order[0] == "speech.started"
        assert order.index("transcript.partial") < order.index("speech.stopped")
        assert order[-1] == "transcript.final"
        partials = {e["text"] for e in mine if e["type"] == "transcript.partial"}
        on_page = [s for s in shown if s["utterance"] == str(final["utterance_id"])]
        while_speaking = on_page[: [s["last"] for s in on_page].index("speech.stopped")]
        assert partials & {s["text"] for s in while_speaking if s["state"] == "speaking"}, while_speaking
        line = me.page.locator(f'[data-testid="utterance"][data-utterance-id="{final["utterance_id"]}"]')
        assert await line.get_attribute("data-state") == "final"
        assert await line.get_by_test_id("text").inner_text() == final["text"]
        assert await line.get_by_test_id("moving").inner_text() == ""
        for name in ("confidence", "language", "model", "latency"):
            assert await line.get_by_test_id(name).inner_text(), name
    numbers = [event["seq"] for event in await me.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    await me.find("stop").click()
    await me.state("ended")
    assert (await me.events())[-1]["type"] == "session.ended"


async def test_every_sample_plays_and_is_understood(visit: Visit) -> None:
    me = await visit()
    buttons = me.find("sample")
    assert await buttons.count() >= 3
    for number in range(await buttons.count()):
        button = buttons.nth(number)
        sample = await button.get_attribute("data-sample-id")
        before = len(await me.events("transcript.final"))
        await button.click()
        await me.state("live")
        await me.until("events.filter(e => e.type === 'transcript.final').length > wanted", before)
        texts = [e["text"] for e in (await me.events("transcript.final"))[before:]]
        expected = await button.locator(".sample-text").inner_text()
        errors, words = word_errors(expected, " ".join(texts))
        assert errors <= words / 3, f"{sample}: {texts} instead of {expected!r}"
    await me.screenshot("samples")
    await me.find("stop").click()
    await me.state("ended")


async def test_a_refused_microphone_is_explained(visit: Visit) -> None:
    me = await visit(microphone=False)
    await me.find("start").click()
    await me.state("failed")
    problem = me.find("problem")
    assert await problem.is_visible()
    assert await problem.get_attribute("data-problem-id") == "microphone-refused"
    said = await problem.inner_text()
    assert "microphone" in said
    assert "allow" in said.lower(), "it should say how to mend it"
    assert await problem.locator("li").count() >= 1
    assert await me.find("problem-action").is_visible()
    await me.screenshot("microphone-refused")
    assert await me.find("start").is_enabled(), "one can try again"


async def test_language_choice_and_mute_reach_the_server(visit: Visit, sentences: list[Clip]) -> None:
    # The page also silences its own track. Here that is switched off, so that only the server can be mute.
    deaf = "Object.defineProperty(MediaStreamTrack.prototype, 'enabled', { get: () => true, set() {} });"
    me = await visit(says=sentences[2].audio, script=deaf)
    await me.find("language-select").select_option("es")
    await me.start()
    first = await me.utterance()
    assert (first["language"], first["language_probability"]) == ("es", 1.0)
    await me.find("language-select").select_option("")

    # Muted in the middle of speech: it is ended there and then, not by silence.
    started = len(await me.events("speech.started"))
    await me.until("events.filter(e => e.type === 'speech.started').length > wanted", started)
    await me.find("mute").click()
    assert await me.find("mute").get_attribute("aria-pressed") == "true"
    await me.until("events.filter(e => e.type === 'speech.stopped').length > wanted", started)
    heard = len(await me.events("speech.started"))
    muted_at = (await me.events())[-1]["at_ms"]

    # The sentence is said once more, and nobody hears it. A pong tells how far the server is.
    period = round((LEAD_S + GAP_S) * 1000 + sentences[2].seconds * 1000)
    await me.until("events.at(-1).at_ms > wanted", muted_at + period, seconds=25)
    assert len(await me.events("speech.started")) == heard

    await me.find("mute").click()
    finals = len(await me.events("transcript.final"))
    await me.until("events.filter(e => e.type === 'transcript.final').length > wanted", finals)
    await me.until(
        "events.filter(e => e.type === 'transcript.final').at(-1).text === wanted", sentences[2].text
    )
    assert (await me.events("transcript.final"))[-1]["language"] == "en"
    assert not await me.events("warning")


async def test_a_phone_shows_everything_without_scrolling_sideways(
    visit: Visit, sentences: list[Clip]
) -> None:
    me = await visit(
        says=sentences[2].audio, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await me.page.evaluate(overflow) <= 0
    await me.start()
    await me.utterance()
    assert await me.page.evaluate(overflow) <= 0
    await me.screenshot("phone")
    small = await me.page.evaluate(
        """[...document.querySelectorAll('button')].filter(button => button.checkVisibility())
             .map(button => [button.id || button.dataset.testid, button.getBoundingClientRect()])
             .filter(([, box]) => box.height < 24 || box.width < 24).map(([name]) => name)"""
    )
    assert not small, "too small for a finger (WCAG 2.5.8)"


async def test_the_page_can_be_read_and_used_without_eyes_or_mouse(visit: Visit) -> None:
    me = await visit()
    page = me.page
    assert await page.locator("html").get_attribute("lang") == "en"
    assert await page.title()
    assert await page.locator("h1").count() == 1
    levels = await page.evaluate(
        """[...document.querySelectorAll('h1, h2, h3, h4')].filter(heading => heading.checkVisibility())
             .map(heading => Number(heading.tagName[1]))"""
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), levels
    nameless = await page.evaluate(
        """[...document.querySelectorAll('button, select, input')].filter(control => !(
             control.ariaLabel || control.textContent.trim() && control.tagName === 'BUTTON'
             || control.labels?.length)).map(control => control.outerHTML)
             .filter(html => !html.includes('problem-action'))"""
    )
    assert not nameless
    assert await page.locator('[aria-live="polite"], [role="log"], [role="status"]').count() >= 1
    assert await page.locator('[role="alert"]').count() == 1, "problems interrupt"
    unnamed_images = await page.locator("img:not([alt])").count()
    assert unnamed_images == 0

    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.id") == "start":
            break
    else:
        pytest.fail("the tab key does not come to the start button")
    outline = await page.evaluate(
        """(({ outlineStyle, boxShadow }) => [outlineStyle, boxShadow])
             (getComputedStyle(document.activeElement))"""
    )
    assert outline != ["none", "none"], "the focus cannot be seen"
    await page.keyboard.press("Enter")
    await me.state("live")
    assert await page.evaluate("document.activeElement.id") == "stop", "the focus stays in place"
    await page.keyboard.press("Enter")
    await me.state("ended")
    assert await page.evaluate("document.activeElement.id") == "start"
