"""GStreamer's webrtcbin over WHIP: ``/usr/bin/python3 gstreamer_whip.py URL CLIP.wav``.

Speaks the clip (48 kHz, 16 bit, mono) once it is connected, prints every message of its data channel as a
line, and ends with the session. Runs with the Python of the system, which has the bindings, and so imports
nothing of ours.
"""

import sys
import threading
import time
import urllib.request
import wave

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

PIPELINE = """
    webrtcbin name=rtc bundle-policy=max-bundle
    appsrc name=voice is-live=true do-timestamp=true format=time
        caps=audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved
    ! audioconvert ! audioresample ! opusenc inband-fec=true packet-loss-percentage=10 ! rtpopuspay pt=111
    ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! rtc.
"""


class Client:
    """One session."""

    def __init__(self, url: str, clip: str) -> None:
        self.url = url
        self.loop = GLib.MainLoop()
        self.connected = threading.Event()
        self.pipeline = Gst.parse_launch(PIPELINE)
        self.rtc = self.pipeline.get_by_name("rtc")
        self.voice = self.pipeline.get_by_name("voice")
        with wave.open(clip) as file:
            assert (file.getframerate(), file.getnchannels()) == (48_000, 1)
            self.audio = file.readframes(file.getnframes())
        transceiver = self.rtc.emit("get-transceiver", 0)
        transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
        self.rtc.connect("notify::ice-gathering-state", self.on_gathering)
        self.rtc.connect("notify::connection-state", self.on_state)
        self.rtc.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.pipeline.set_state(Gst.State.READY)
        self.channel = self.rtc.emit("create-data-channel", "rtc-stt", None)
        self.channel.connect("on-message-string", self.on_message)

    def run(self) -> None:
        """Until the session has ended."""
        self.pipeline.set_state(Gst.State.PLAYING)
        threading.Thread(target=self.speak, daemon=True).start()
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)

    def on_negotiation_needed(self, _rtc) -> None:
        promise = Gst.Promise.new_with_change_func(self.on_offer, None)
        self.rtc.emit("create-offer", None, promise)

    def on_offer(self, promise, _data) -> None:
        reply = promise.get_reply()  # kept: the offer is a part of it
        offer = reply.get_value("offer")
        self.rtc.emit("set-local-description", offer, Gst.Promise.new())

    def on_gathering(self, rtc, _property) -> None:
        if rtc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            threading.Thread(target=self.post, daemon=True).start()

    def post(self) -> None:
        offer = self.rtc.get_property("local-description").sdp.as_text()
        request = urllib.request.Request(  # noqa: S310 - the test's own server
            self.url, offer.encode(), {"Content-Type": "application/sdp"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            text = response.read()
        _, message = GstSdp.SDPMessage.new()
        GstSdp.sdp_message_parse_buffer(text, message)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.rtc.emit("set-remote-description", answer, Gst.Promise.new())

    def on_state(self, rtc, _property) -> None:
        if rtc.get_property("connection-state") == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            self.connected.set()

    def on_message(self, channel, text) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        if '"transcript.final"' in text:
            channel.emit("send-string", '{"type": "stop"}')
        if '"session.ended"' in text:
            self.loop.quit()

    def speak(self) -> None:
        """Frames of 20 ms in real time: silence, and once connected the clip."""
        size, due, left = 48_000 // 50 * 2, time.monotonic(), None
        while True:
            due += 0.02
            time.sleep(max(0.0, due - time.monotonic()))
            if left is None and self.connected.is_set():
                left = bytes(size * 25) + self.audio
            piece = (left or b"")[:size].ljust(size, b"\0")
            left = left[size:] if left is not None else None
            self.voice.emit("push-buffer", Gst.Buffer.new_wrapped(piece))


if __name__ == "__main__":
    Gst.init(None)
    Client(sys.argv[1], sys.argv[2]).run()
