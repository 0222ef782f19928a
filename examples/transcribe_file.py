"""A recording becomes a transcript: one request, made again where that may help.

With ``rtc-stt demo`` (or ``primary``, or ``serve``) running:
``python examples/transcribe_file.py http://localhost:8080 web_demo/samples/booking.wav``
"""

import asyncio
import os
import sys

from rtc_stt.client import SttClient, Telemetry
from rtc_stt.errors import ClientError, RtcSttError


def watch(told: Telemetry) -> None:
    if told.retry_in_s is not None:
        print(f"-- attempt {told.attempt}: {told.error}, again in {told.retry_in_s:.1f} s", file=sys.stderr)


async def main(url: str, path: str) -> None:
    async with SttClient(url, key=os.environ.get("RTC_STT_KEY"), on_request=watch) as client:
        try:
            result = await client.transcribe(path, word_timestamps=True, on_fallback_failure="degrade")
        except ClientError as error:  # a wrong key, no audio, too long: it would be so the next time
            sys.exit(f"{error.status} {error.type}: {error} (request {error.request_id})")
        except RtcSttError as error:  # after all attempts
            sys.exit(str(error))
    for segment in result.transcript.segments:
        print(f"{segment.start_ms / 1000:7.2f}  {segment.text}  ({segment.confidence:.0%}, {segment.model})")
    print(f"-- {result.transcript.duration_ms} ms of audio in {result.round_trip_ms:.0f} ms")


if len(sys.argv) != 3:
    sys.exit(__doc__)
asyncio.run(main(*sys.argv[1:]))
