"""Which dialects ``/v1/media/{dialect}`` speaks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from signaling.telephony.streams import binary, twilio
from signaling.telephony.streams.chan_websocket import ChanWebsocket
from signaling.telephony.streams.jambonz_stt import JambonzStt
from signaling.telephony.streams.stream_dialect import Kind
from signaling.telephony.streams.twilio import JsonStream

__all__ = ["KINDS"]

FORKS = ("audio.jambonz.org", "audio.drachtio.org", "audiostream.drachtio.org")
"""Subprotocols of jambonz, and of the module of FreeSWITCH that it is built on, in its versions."""

KINDS: Mapping[str, Kind] = {
    "twilio": Kind(partial(JsonStream, twilio.TWILIO), is_signed=True),
    "signalwire": Kind(partial(JsonStream, twilio.SIGNALWIRE), is_signed=True),
    "telnyx": Kind(partial(JsonStream, twilio.TELNYX)),
    "plivo": Kind(partial(JsonStream, twilio.PLIVO)),
    "exotel": Kind(partial(JsonStream, twilio.EXOTEL)),
    "vonage": Kind(binary.vonage),
    "freeswitch": Kind(binary.freeswitch, protocols=FORKS),
    "jambonz": Kind(binary.jambonz, protocols=FORKS),
    "jambonz-stt": Kind(JambonzStt),
    "asterisk": Kind(ChanWebsocket, protocols=("media",)),
}
"""By the name in the path, which is the source of the call too."""
