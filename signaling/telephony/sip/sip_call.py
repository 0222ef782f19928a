"""One call over SIP: what it offered, its streams, and the legs that hear them.

A :class:`~signaling.telephony.call_source.CallSource`. The dialog is the user agent's, the sockets are those of
:mod:`.media_stream`; here is what joins them to a call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rtc_stt.audio import Origin, Samples
from rtc_stt.errors import BadRequest, RtcSttError, Unprocessable
from rtc_stt.events import Event
from rtc_stt.instrument import Instrument
from signaling.telephony.call import Call, Leg
from signaling.telephony.call_source import AGENT, CALLER, MAX_LEGS, CallDetails, clean_parameters, clean_text
from signaling.telephony.hub import CallHub
from signaling.telephony.settings import Sip
from signaling.telephony.sip.digits import Press
from signaling.telephony.sip.media_stream import MediaStream
from signaling.telephony.sip.rtp_ports import RtpPorts
from signaling.telephony.sip.sdp import Description, Stream, parse_description
from signaling.telephony.sip.sdp_answer import (
    Accepted,
    Ours,
    accept_stream,
    build_answer,
    build_offer,
    our_own,
)
from signaling.telephony.sip.siprec import Participant, Parts, read_metadata, split_body
from signaling.telephony.sip.vocabulary import Invitation

__all__ = ["Exchange", "SipCall"]

log = logging.getLogger(__name__)

TICK_S = 1.0

BY_RTP, BY_INFO = "rtp", "info"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What all SIP calls of a server share."""

    hub: CallHub
    ports: RtpPorts
    settings: Sip
    instrument: Instrument
    address: str
    """Where peers send media to: an IP address."""
    owner: str
    """The id of the key whose calls these are."""


class Host(Protocol):
    """Who has the dialogs."""

    def release(self, dialog: str, reason: str) -> None:
        """The call has ended here: say BYE, where nobody has yet."""


class _Line:
    """An m-line that is taken: a stream and the leg that hears it. An :class:`~.media_stream.Ear`."""

    def __init__(self, call: SipCall, leg: Leg, stream: MediaStream) -> None:
        self.leg = leg
        self.stream = stream
        self.was_two_way = False
        self._call = call
        self.receive_audio = leg.receive_audio
        self.receive_silence = leg.receive_silence
        self.begin = leg.begin_now

    def press(self, press: Press) -> None:
        """See :class:`~.media_stream.Ear`."""
        self._call.press(BY_RTP, press.digit, press.duration_ms, self.leg.label)

    def fail(self) -> None:
        """See :class:`~.media_stream.Ear`."""
        self._call.end("server_error")
