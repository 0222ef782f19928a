"""What a key has used: durations and counts, for the key that asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from rtc_stt.errors import BadRequest
from signaling import entrance
from signaling.keys import GATE
from signaling.reception import caller_of
from signaling.request import identify_by_header
from signaling.usage import date_of

__all__ = ["DEFAULT_DAYS", "MAX_DAYS", "add_routes"]

DEFAULT_DAYS = 31
MAX_DAYS = 92
"""A quarter: what an invoice may be about."""


async def get_usage(request: web.Request) -> web.Response:
    """``GET /v1/usage?days=31``: ``{key, daily_audio_seconds, days}``.

    Each of the days is ``{date, audio_seconds, requests, sessions}``. They are days of UTC, the earliest
    first, today's last.
    """
    gate = request.app[GATE]
    shown = identify_by_header(request)
    days = _read_days(request.query.get("days"))
    await entrance.count(gate, caller_of(request, shown))
    await entrance.learn_usage(gate, shown.key_id)
    told = await gate.bookkeeper.report(shown.key_id, days)
    body = {
        "key": gate.usage.account(shown.key_id).name,
        "daily_audio_seconds": gate.usage.limit_s(shown.key_id),
        "days": [
            {
                "date": date_of(day),
                "audio_seconds": round(amount.audio_s, 3),
                "requests": amount.requests,
                "sessions": amount.sessions,
            }
            for day, amount in told
        ],
    }
    return web.json_response(body, headers={"Cache-Control": "no-store"})


def _read_days(text: str | None) -> int:
    if text is None:
        return DEFAULT_DAYS
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_DAYS):
        raise BadRequest(f"days is a number from 1 to {MAX_DAYS}")
    return int(text)


def add_routes(app: web.Application) -> None:
    """Add the endpoint, and keep the books while the application runs.

    What ends sessions or requests at the end of the application is to be added after this, so that it
    comes before the last writing.
    """
    app.router.add_get("/v1/usage", get_usage)
    app.cleanup_ctx.append(_keeping)


async def _keeping(app: web.Application) -> AsyncIterator[None]:
    bookkeeper = app[GATE].bookkeeper
    await bookkeeper.start()
    yield
    await bookkeeper.stop()
