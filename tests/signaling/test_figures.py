"""Figures of a session over its connections."""

from __future__ import annotations

from signaling.figures import Figures


def test_counts_add_up_over_connections_and_the_latest_state_counts():
    figures = Figures()
    first = {"packets_received": 100, "concealed_ms": 40, "codec": "opus", "jitter_ms": 3.5}
    assert figures.with_connection(first) == {
        "connections": 1,
        "rtp_packets_received": 100,
        "rtp_packets_lost": 0,
        "rtp_packets_late": 0,
        "rtp_packets_refused": 0,
        "rtp_packets_recovered": 0,
        "concealed_ms": 40,
        "lost_ms": 0,
        "codec": "opus",
        "jitter_ms": 3.5,
    }
    figures.keep(first)
    second = {
        "packets_received": 10,
        "packets_lost": 2,
        "concealed_ms": 20,
        "codec": "PCMU",
        "round_trip_ms": 12.0,
    }
    told = figures.with_connection(second)
    assert (told["connections"], told["rtp_packets_received"], told["rtp_packets_lost"]) == (2, 110, 2)
    assert (told["concealed_ms"], told["codec"], told["round_trip_ms"]) == (60, "PCMU", 12.0)
    assert figures.with_connection(second) == told, "telling changes nothing"


def test_a_connection_without_a_packet_has_no_codec():
    assert "codec" not in Figures().with_connection({"codec": ""})
