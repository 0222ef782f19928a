"""A WebRTC client in one file: send a recording to a running server, print the transcript as it comes.

With ``rtc-stt demo`` running:
``python examples/webrtc_client.py http://localhost:8080 web_demo/samples/booking.wav``
"""

import asyncio
import json
import sys

import aiohttp
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer


async def main(url: str, path: str) -> None:
    connection = RTCPeerConnection()
    # The client makes the channel, before the offer: events come back on it.
    channel = connection.createDataChannel("rtc-stt")
    ended = asyncio.Event()

    @channel.on("message")
    def receive(message: str) -> None:
        event = json.loads(message)
        if event["type"] == "transcript.partial":
            print("  ", event["text"])
        elif event["type"] == "transcript.final":
            print(event["text"], f"({event['confidence']:.0%}, {event['model']})")
        elif event["type"] == "session.ended":
            ended.set()

    player = MediaPlayer(path)
    connection.addTrack(player.audio)
    await connection.setLocalDescription(await connection.createOffer())
    async with aiohttp.ClientSession(url) as http:
        offer, headers = connection.localDescription.sdp, {"Content-Type": "application/sdp"}
        async with http.post("/whip", data=offer, headers=headers) as response:
            response.raise_for_status()
            answer, resource = await response.text(), response.headers["Location"]
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        while player.audio.readyState == "live":  # until the recording is over
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)  # its last packets are still on their way
        channel.send(json.dumps({"type": "stop"}))
        await asyncio.wait_for(ended.wait(), 10)
        async with http.delete(resource):
            pass
    await connection.close()


if len(sys.argv) != 3:
    sys.exit(__doc__)
asyncio.run(main(*sys.argv[1:]))
