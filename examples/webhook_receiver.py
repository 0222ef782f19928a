"""Take the events of phone calls as webhooks: check who sent them, and print what is said.

``WEBHOOK_SECRET=whsec_… python examples/webhook_receiver.py 9000``, and the server with the same secret and
``WEBHOOK_URL=http://localhost:9000/``. Any library of Standard Webhooks checks the signature as well.
"""

import base64
import hashlib
import hmac
import os
import sys
import time

from aiohttp import web

SECRET = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE_S = 300
"""An older message may be one that somebody has recorded and plays again."""

seen: set[str] = set()
"""Ids of messages that were taken: one whose answer was lost comes again."""


async def receive(request: web.Request) -> web.Response:
    body = await request.read()
    post_id, sent_at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    signed = f"{post_id}.{sent_at}.".encode() + body
    signature = base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    told = [text.removeprefix("v1,") for text in request.headers["webhook-signature"].split()]
    if not any(hmac.compare_digest(signature, text) for text in told):
        raise web.HTTPUnauthorized
    if abs(time.time() - int(sent_at)) > TOLERANCE_S:
        raise web.HTTPUnauthorized
    if post_id not in seen:
        seen.add(post_id)
        show((await request.json())["data"])
    return web.Response(status=204)


def show(event: dict[str, object]) -> None:
    match event:
        case {"type": "transcript.final", "leg": leg, "text": text}:
            print(f"{leg}: {text}", flush=True)
        case {"type": "dtmf", "digit": digit}:
            print(f"-- pressed {digit}", flush=True)
        case {"type": "call.ended", "reason": reason}:
            print(f"-- {reason}", flush=True)
        case {"type": kind}:
            print(f"-- {kind}", flush=True)


if len(sys.argv) != 2:
    sys.exit(__doc__)
app = web.Application()
app.router.add_post("/", receive)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
