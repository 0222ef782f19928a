"""Who is compared, with what, and in which order. Pure.

A *system* is a recogniser as one user would set it up: ours over one of its transports, or one of
:data:`PEERS`. A *job* is one start of one system, measured with so many sessions side by side for one round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["OURS", "PEERS", "Job", "Ours", "Peer", "chosen", "jobs", "threads_for"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A recogniser of others."""

    name: str
    """Of its script, of its environment, and of its file of requirements."""
    title: str
    left_out: tuple[str, ...] = ()
    """What its package asks for and nothing here uses: not installed."""


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            "whisperlive",
            "WhisperLive",
            left_out=(
                "PyAudio", "torchaudio", "openai-whisper", "openvino", "openvino-genai",
                "openvino-tokenizers", "optimum", "optimum-intel", "kaldialign", "librosa", "numba",
                "soundfile", "nvidia-cublas-cu12", "nvidia-cudnn-cu12",
            ),
        ),
        Peer("realtimestt", "RealtimeSTT", left_out=("PyAudio", "torchaudio")),
        Peer("faster_whisper_segments", "faster-whisper, VAD segments"),
        Peer("pipecat_whisper", "Pipecat Whisper"),
    )
}  # fmt: skip
"""By name."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our own server, over one of its transports."""

    name: str
    title: str
    transport: str
    is_same_weights: bool = True
    """One model, the one that the peers have. False: two tiers, as the demo ships."""


OURS: dict[str, Ours] = {
    ours.name: ours
    for ours in (
        Ours("ours-websocket", "rtc-stt, WebSocket", "websocket"),
        Ours("ours-webrtc", "rtc-stt, WebRTC", "webrtc"),
        Ours("ours-two-tiers", "rtc-stt as the demo ships, WebSocket", "websocket", is_same_weights=False),
    )
}
"""By name."""


@dataclass(frozen=True, slots=True)
class Job:
    """One start of one system."""

    system: str
    sessions: int
    round: int

    @property
    def name(self) -> str:
        """Fit for a file."""
        return f"{self.system}-{self.sessions}-{self.round}"


def chosen(peers: Sequence[str], *, has_two_tiers: bool) -> list[str]:
    """The systems of a run: ours between the peers, so that A B A B … holds for each pair.

    Args:
        has_two_tiers: whether there are weights for :attr:`Ours.is_same_weights` to be false with.

    Raises:
        KeyError: there is no such peer.
    """
    ours = [name for name, one in OURS.items() if one.is_same_weights or has_two_tiers]
    mixed: list[str] = []
    for place in range(max(len(ours), len(peers))):
        mixed += ours[place : place + 1]
        mixed += [PEERS[name].name for name in peers[place : place + 1]]
    return mixed


def jobs(systems: Sequence[str], sessions: Sequence[int], rounds: int) -> list[Job]:
    """Every job, in the order in which they run: round by round, all systems of a round before the next.

    The order within a round is turned by one place each time, so that none is always the first, or always
    after the same.
    """
    made: list[Job] = []
    for turn in range(rounds):
        for place, count in enumerate(sessions):
            by = (turn * len(sessions) + place) % max(1, len(systems))
            made += [Job(system, count, turn) for system in (*systems[by:], *systems[:by])]
    return made


def threads_for(sessions: int, cores: int) -> int:
    """Threads of one decode: all cores for one session; for more, a decode of each on a core of its own."""
    return max(1, cores // sessions)
