"""The configuration keys of telephony."""

from __future__ import annotations

from dataclasses import dataclass, field

from rtc_stt.config_keys import Values, build, key

__all__ = ["Phones", "Sip", "Telephony", "Webhooks", "read_phones"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telephony:
    """Phone calls, whatever carries them."""

    max_calls: int = key(
        "MAX_CALLS",
        200,
        "Phone calls at a time; each leg counts among MAX_SESSIONS too.",
        low=1,
        high=100_000,
    )
    public_url: str = key(
        "PUBLIC_URL",
        "",
        "How the outside reaches this server, e.g. https://stt.example: signatures of carriers are of this.",
    )
    twilio_auth_token: str = key(
        "TWILIO_AUTH_TOKEN",
        "",
        "Checks X-Twilio-Signature of media streams (Twilio, SignalWire).",
        secret=True,
    )
    audiosocket_port: int = key(
        "AUDIOSOCKET_PORT", 0, "TCP port for Asterisk's AudioSocket; 0: none.", low=0, high=65_535
    )
    audiosocket_host: str = key("AUDIOSOCKET_HOST", "127.0.0.1", "Address that AudioSocket listens on.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sip:
    """The SIP user agent."""

    sip_port: int = key("SIP_PORT", 0, "UDP and TCP port for SIP; 0: none.", low=0, high=65_535)
    sip_host: str = key("SIP_HOST", "127.0.0.1", "Address that SIP and its media listen on.")
    sip_public_ip: str = key(
        "SIP_PUBLIC_IP", "", "What stands in Contact and SDP, behind 1:1 NAT; empty: the address of SIP_HOST."
    )
    sip_allow: tuple[str, ...] = key(
        "SIP_ALLOW", (), "Comma list of addresses and networks whose calls are taken without a password."
    )
    sip_users: tuple[str, ...] = key(
        "SIP_USERS", (), "Comma list of name:password for digest authentication.", secret=True
    )
    sip_realm: str = key("SIP_REALM", "rtc-stt", "Realm of the digest.")
    sip_owner: str = key(
        "SIP_OWNER",
        "",
        "Name of the key (see the guide of keys) whose calls those over SIP are; empty: the first key's.",
    )
    rtp_port_range: str = key(
        "RTP_PORT_RANGE", "20000-21999", "UDP ports for the media of SIP calls, a pair for each stream."
    )
    rtp_timeout_s: float = key(
        "RTP_TIMEOUT_S",
        60.0,
        "A call without a packet for so long, while not on hold, is hung up.",
        low=5,
        high=3_600,
    )
    max_call_s: float = key("MAX_CALL_S", 14_400.0, "A call is hung up after so long.", low=10, high=86_400)
    sip_session_expires: int = key(
        "SIP_SESSION_EXPIRES",
        1_800,
        "Seconds between two signs of life of a SIP dialog (RFC 4028).",
        low=90,
        high=86_400,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhooks:
    """Where the events of calls are posted to."""

    webhook_url: str = key("WEBHOOK_URL", "", "Gets the events of calls, a POST each; empty: nobody does.")
    webhook_secret: str = key(
        "WEBHOOK_SECRET",
        "",
        "Signs them (Standard Webhooks): at least 24 characters; several with spaces between sign each.",
        secret=True,
    )
    webhook_events: tuple[str, ...] = key(
        "WEBHOOK_EVENTS",
        ("call.started", "transcript.final", "dtmf", "call.ended"),
        "Comma list of the types of events that are posted.",
    )
    webhook_dead_letters: str = key(
        "WEBHOOK_DEAD_LETTERS",
        "",
        "File for events that could not be delivered, transcripts and all; empty: they are only counted.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Phones:
    """All of them."""

    telephony: Telephony = field(default_factory=Telephony)
    sip: Sip = field(default_factory=Sip)
    webhooks: Webhooks = field(default_factory=Webhooks)


def read_phones(values: Values) -> Phones:
    """All of them, from raw values.

    Raises:
        ConfigError: a value is malformed or out of bounds.
    """
    return Phones(
        telephony=build(Telephony, values), sip=build(Sip, values), webhooks=build(Webhooks, values)
    )
