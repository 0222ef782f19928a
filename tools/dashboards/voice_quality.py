"""The dashboard of how it feels to speak with it: how soon words come, and what the network does to them."""

from __future__ import annotations

from collections.abc import Iterator

from tools.dashboards.panel import CHOSEN, JOB, RED, YELLOW, Board, Panel, Query, Row, percentiles, rate

__all__ = ["VOICE_QUALITY"]

LINE, SLOW, SILENT = "jitter-and-loss", "high-tail-latency", "silent-audio"
PACKETS = "rtc_stt_rtp_packets_total"


def _share(part: str, whole: str) -> str:
    """Nothing, rather than a division by nothing, while nothing happens."""
    return f"{part} / ({whole} > 0)"


def _at_a_glance() -> Iterator[Panel]:
    def stat(title: str, says: str, expr: str, unit: str, **how: object) -> Panel:
        return Panel(title, says, (Query(expr),), unit, "stat", width=4, **how)  # type: ignore[arg-type]

    yield stat(
        "TTFS, p95",
        "Time to final segment: from the endpoint to the final, over five minutes.",
        f"max(rtc_stt:endpoint_to_final_seconds:p95_5m{{{JOB}}})",
        "s",
        limits=[(0.3, YELLOW), (0.5, RED)],
        runbook=SLOW,
    )
    yield stat(
        "First partial, p95",
        "Media time from the start of speech to its first partial.",
        f"max(rtc_stt:first_partial_seconds:p95_5m{{{JOB}}})",
        "s",
        limits=[(1, YELLOW), (2, RED)],
        runbook=SLOW,
    )
    yield stat(
        "Packet loss",
        "Lost, concealed or late, of all that was sent, over five minutes.",
        f"max(rtc_stt:rtp_loss:ratio_5m{{{JOB}}})",
        "percentunit",
        limits=[(0.01, YELLOW), (0.05, RED)],
        runbook=LINE,
    )
    yield stat(
        "Jitter, p95",
        "Interarrival jitter (RFC 3550); the buffer waits 60 ms at most.",
        f"max(rtc_stt:rtp_jitter_seconds:p95_5m{{{JOB}}})",
        "s",
        limits=[(0.03, YELLOW), (0.06, RED)],
        runbook=LINE,
    )
    dropped = rate("rtc_stt_utterances_dropped_total")
    yield stat(
        "Utterances dropped",
        "The share that ended without a final.",
        _share(dropped, f"({rate('rtc_stt_endpoint_to_final_seconds_count')} + {dropped})"),
        "percentunit",
        limits=[(0.2, YELLOW), (0.5, RED)],
        runbook=SILENT,
    )
    yield stat("Speaking", "Seconds of audio each second.", rate("rtc_stt_audio_seconds_total"), "short")


def _words() -> Iterator[Panel]:
    finals = "rtc_stt_endpoint_to_final_seconds"
    yield Panel(
        "TTFS: endpoint to final",
        "By the tier that had the last word. p95 below 0.5 s.",
        percentiles(finals, "tier"),
        "s",
        runbook=SLOW,
        limits=[(0.5, RED)],
    )
    yield Panel(
        "Finals in time",
        "The share of finals within a time from the endpoint.",
        tuple(
            Query(
                _share(rate(f"{finals}_bucket", matching=f'le="{bound}"'), rate(f"{finals}_count")),
                f"within {bound} s",
            )
            for bound in ("0.1", "0.2", "0.5", "1.0")
        ),
        "percentunit",
        runbook=SLOW,
        bounds=(0, 1),
    )
    yield Panel(
        "First partial",
        "Media time from the start of speech to its first partial: how long a speaker sees nothing.",
        percentiles("rtc_stt_first_partial_seconds"),
        "s",
        runbook=SLOW,
    )
    yield Panel(
        "Partials",
        "emitted; stale: a newer one had come before its turn; shed: left out under load.",
        (Query(rate("rtc_stt_partials_total", "result"), "{{result}}"),),
        "ops",
        runbook=SLOW,
    )
    yield Panel(
        "Revisions of an utterance",
        "Partials that were told for each final. Fewer under load; how many of their words change, "
        "`rtc-stt bench turns` measures.",
        (
            Query(
                _share(rate("rtc_stt_partials_total", matching='result="emitted"'), rate(f"{finals}_count")),
                "partials a final",
            ),
        ),
    )
    yield Panel(
        "Speculations used",
        "The share of final decodes begun in a pause that were the final. Low: speakers pause, and go on.",
        (
            Query(
                _share(
                    rate("rtc_stt_speculations_total", matching='result="used"'),
                    rate("rtc_stt_speculations_total"),
                ),
                "used",
            ),
        ),
        "percentunit",
        bounds=(0, 1),
    )


def _utterances() -> Iterator[Panel]:
    yield Panel(
        "Dropped utterances",
        "By reason. no_speech for all: what comes is no speech.",
        (Query(rate("rtc_stt_utterances_dropped_total", "reason"), "{{reason}}"),),
        "ops",
        runbook=SILENT,
        stacked=True,
    )
    yield Panel(
        "Audio, and what becomes of it",
        "Seconds of audio a second, and finals a second. Audio without finals is silence, or no speech.",
        (
            Query(rate("rtc_stt_audio_seconds_total"), "audio"),
            Query(rate("rtc_stt_endpoint_to_final_seconds_count"), "finals"),
        ),
        runbook=SILENT,
    )
    yield Panel(
        "Doubted",
        "The share of finals of which the fast tier was unsure.",
        (
            Query(
                _share(
                    rate("rtc_stt_routes_total", matching='decision!="accepted"'),
                    rate("rtc_stt_routes_total"),
                ),
                "doubted",
            ),
        ),
        "percentunit",
        runbook="always-falling-back",
        bounds=(0, 1),
        limits=[(0.5, YELLOW)],
    )


def _line() -> Iterator[Panel]:
    sent = rate(PACKETS, matching='result=~"received|lost|concealed"')
    yield Panel(
        "Packet loss",
        "lost: it never came. concealed: something was put in its place. late: it came when its turn was "
        "over. recovered: forward error correction had it.",
        tuple(
            Query(_share(rate(PACKETS, matching=f'result="{result}"'), sent), result)
            for result in ("lost", "concealed", "late", "recovered")
        ),
        "percentunit",
        runbook=LINE,
        limits=[(0.05, RED)],
    )
    yield Panel(
        "Packets",
        "All of them, by what became of them.",
        (Query(rate(PACKETS, "result"), "{{result}}"),),
        "pps",
        runbook=LINE,
    )
    yield Panel(
        "Jitter",
        "Interarrival jitter (RFC 3550) of streams, looked at every ten seconds.",
        percentiles("rtc_stt_rtp_jitter_seconds"),
        "s",
        runbook=LINE,
        limits=[(0.06, RED)],
    )
    yield Panel(
        "Wait in the jitter buffer",
        "Of packets for those before them; packets in order do not count.",
        percentiles("rtc_stt_jitter_delay_seconds"),
        "s",
        runbook=LINE,
    )
    yield Panel(
        "Round trip",
        "To clients and back.",
        percentiles("rtc_stt_round_trip_seconds"),
        "s",
    )
    rates = "rtc_stt_rtp_bit_rate_kbps"
    yield Panel(
        "Bit rate",
        "Of the payload, on average, by codec.",
        (Query(_share(rate(f"{rates}_sum", "codec"), rate(f"{rates}_count", "codec")), "{{codec}}"),),
        "Kbits",
    )
    yield Panel(
        "Codecs",
        "The share of streams that were looked at, by codec.",
        (
            Query(
                f"{rate(f'{rates}_count', 'codec')} / ignoring (codec) group_left () "
                f"{rate(f'{rates}_count')}",
                "{{codec}}",
            ),
        ),
        "percentunit",
        stacked=True,
    )
    yield Panel(
        "Connections that are being made",
        "Offers answered and not yet connected. Where they stay, ICE fails.",
        (Query(f"sum(rtc_stt_half_open{{{CHOSEN}}})", "half open"),),
        runbook="ice-failures",
        limits=[(5, YELLOW)],
    )
    yield Panel(
        "What was not taken",
        "Datagrams and messages that were refused, by reason. stranger is noise from outside.",
        (
            Query(rate("rtc_stt_datagrams_refused_total", "reason"), "datagram: {{reason}}"),
            Query(rate("rtc_stt_messages_refused_total", "reason"), "message: {{reason}}"),
        ),
        "ops",
        runbook="ice-failures",
    )


def _calls() -> Iterator[Panel]:
    yield Panel(
        "Length of sessions",
        "How long people stay.",
        percentiles("rtc_stt_session_seconds"),
        "s",
        width=12,
    )
    yield Panel(
        "Length of calls",
        "Many that end at once: something is wrong with the line, or with what is heard.",
        percentiles("rtc_stt_call_seconds"),
        "s",
        width=12,
    )


VOICE_QUALITY = Board(
    "rtc-stt-voice",
    "rtc-stt: voice quality",
    "How soon words come, and what the network does to them. Explained in docs/operate/grafana.md.",
    (
        Row("At a glance", tuple(_at_a_glance()), height=4),
        Row("How soon words come", tuple(_words())),
        Row("Utterances", tuple(_utterances())),
        Row("The network", tuple(_line())),
        Row("Sessions and calls", tuple(_calls())),
    ),
)
