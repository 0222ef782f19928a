"""What of an INVITE the rest of the server is told. Pure."""

from __future__ import annotations

from signaling.telephony.call_source import clean_parameters, clean_text
from signaling.telephony.sip.fields import read_media_type, uri_user
from signaling.telephony.sip.message import Malformed, Request
from signaling.telephony.sip.vocabulary import Invitation

__all__ = ["check_body", "make_invitation"]

BODIES = frozenset({"application/sdp", "multipart/mixed", "application/rs-metadata+xml"})


def check_body(request: Request) -> None:
    """Whether the body of an INVITE or UPDATE is of a kind that we read.

    Raises:
        Malformed: 415.
        BadRequest: its type cannot be read.
    """
    if not request.body:
        return
    if request.first("Content-Encoding").strip().lower() not in ("", "identity"):
        raise Malformed("Unsupported Media Type", status=415)
    if not request.first("Content-Type") or read_media_type(request.first("Content-Type"))[0] not in BODIES:
        raise Malformed("Unsupported Media Type", status=415)


def make_invitation(request: Request, address: str, user: str, *, is_recording: bool) -> Invitation:
    """The same, cleaned.

    Raises:
        BadRequest: the type of its body cannot be read.
    """
    content_type, parameters = read_media_type(request.first("Content-Type")) if request.body else ("", {})
    told: dict[object, object] = {}
    if request.caller and request.caller.name:
        told["from_name"] = request.caller.name
    if request.first("User-Agent"):
        told["user_agent"] = request.first("User-Agent")
    for name in request.headers.keys():  # noqa: SIM118 — it is no mapping
        if name.lower().startswith("x-"):
            told[name.lower()] = request.first(name)
    dialled = uri_user(request.uri)
    if dialled == request.uri and request.callee:
        dialled = uri_user(request.callee.uri)
    return Invitation(
        call_id=clean_text(request.call_id),
        caller=clean_text(uri_user(request.caller.uri if request.caller else "")),
        callee=clean_text(dialled),
        body=request.body,
        content_type=content_type,
        content_parameters=parameters,
        is_recording=is_recording,
        parameters=clean_parameters(told),
        address=address,
        user=user,
    )
