"""Many recordings over several servers, from a script without an event loop.

With ``rtc-stt primary`` running on two machines (or one, or ``rtc-stt demo``):
``python examples/transcribe_many.py http://gpu-1:8081,http://gpu-2:8081 calls/*.wav``
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from rtc_stt.client import SttPoolSync
from rtc_stt.errors import RtcSttError


def main(urls: list[str], paths: list[str]) -> None:
    with SttPoolSync(urls, key=os.environ.get("RTC_STT_KEY")) as pool:

        def transcribe(path: str) -> str:
            try:
                return pool.transcribe(path).text
            except RtcSttError as error:  # of this file; the others go on
                return f"-- {type(error).__name__}: {error}"

        with ThreadPoolExecutor(4 * len(urls)) as threads:  # what is waiting keeps the servers busy
            for path, text in zip(paths, threads.map(transcribe, paths), strict=True):
                print(f"{path}: {text}")
        latency = pool.latency
    if latency.count:
        print(f"-- {latency.count} recordings, p50 {latency.p50:.0f} ms, p95 {latency.p95:.0f} ms")


if len(sys.argv) < 3:
    sys.exit(__doc__)
main(sys.argv[1].split(","), sys.argv[2:])
