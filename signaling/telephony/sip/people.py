"""Who speaks on which stream of a SIP call, as its recorder tells or as is usual. Pure."""

from __future__ import annotations

from rtc_stt.errors import BadRequest
from signaling.telephony.call_source import AGENT, CALLER, clean_text
from signaling.telephony.sip.sdp import Stream
from signaling.telephony.sip.siprec import Participant, Parts, read_metadata

__all__ = ["People"]


class People:
    """See above.

    Args:
        is_recording: whether the call comes from a recorder; metadata say so too.
    """

    def __init__(self, *, is_recording: bool) -> None:
        self.is_recording = is_recording
        self._known: dict[str, Participant] = {}

    def read(self, parts: Parts) -> str:
        """Names from the metadata of SIPREC; gives what is wrong with them, which stops no recording."""
        try:
            self._known |= read_metadata(parts.metadata) if parts.metadata else {}
        except BadRequest as error:
            return str(error)
        return ""

    def label(self, stream: Stream, *, is_first: bool) -> str:
        """Of the leg that hears a stream.

        Args:
            is_first: whether the call has no other.
        """
        if not self.is_recording:
            return CALLER
        person = self._known.get(stream.label)
        if person and person.role:
            return person.role
        return clean_text(stream.label) or (CALLER if is_first else AGENT)

    def parameters(self) -> dict[str, str]:
        """Of each leg's label who it is, as parameters of the call."""
        told: dict[str, str] = {}
        for label, person in self._known.items():
            told |= {f"{label}.name": person.name, f"{label}.aor": person.aor, f"{label}.role": person.role}
        return {name: value for name, value in told.items() if value}
