"""What is done to a scene before it is played: noise under it, a telephone line, a bad network.

Pure. Noise goes on after the scene, at the same strength, for as long as is waited for its final: a room does
not fall silent when somebody stops speaking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtc_stt.audio import SAMPLE_RATE, Samples
from rtc_stt.bench.link import Conditions
from rtc_stt.bench.noises import NOT_SPEECH
from rtc_stt.bench.pacing import FRAME
from rtc_stt.bench.telephone import telephone
from rtc_stt.errors import ConfigError

__all__ = ["CLEAN", "Condition", "Sound", "apply", "parse"]

NOISE_S = 30
"""Of noise made for a scene; a longer scene hears it again."""

AFTER_S = 4
"""Of what follows a scene over and over."""

QUIET_DB = 30.0
"""Frames that are so much below the loudest are no speech, and have no say in how loud the speech is."""

DEFAULT_NOISE = "pink noise"


@dataclass(frozen=True, slots=True)
class Condition:
    """What the audio goes through. The default is nothing at all."""

    noise: str | None = None
    """One of :data:`~rtc_stt.bench.noises.NOT_SPEECH`."""
    snr_db: float = 0.0
    """How far below the speech (not its pauses) the noise is; only with noise."""
    telephone: bool = False
    """8 kHz, 300 to 3,400 Hz, G.711."""
    network: Conditions | None = None
    """What happens to outgoing packets, where the target sends any."""

    @property
    def name(self) -> str:
        """As :func:`parse` reads it, and the network in brief."""
        parts = [f"{self.noise.replace(' ', '-')}:{self.snr_db:g}"] if self.noise else []
        parts += ["telephone"] if self.telephone else []
        if bad := self.network:
            parts += [f"loss {bad.pattern}"] if bad.pattern else []
            parts += [f"loss {bad.loss:.0%}"] if bad.loss else []
            parts += [f"delay {bad.delay_s * 1000:g} ms"] if bad.delay_s else []
            parts += [f"jitter {bad.jitter_s * 1000:g} ms"] if bad.jitter_s else []
            parts += [f"reorder {bad.reorder:.0%}"] if bad.reorder else []
        return ", ".join(parts) or "clean"

    def to_json(self) -> dict[str, object]:
        """Fit for a result."""
        told: dict[str, object] = {"name": self.name, "telephone": self.telephone}
        if self.noise:
            told |= {"noise": self.noise, "snr_db": self.snr_db}
        if bad := self.network:
            told["network"] = {
                "loss": bad.loss,
                "pattern": bad.pattern,
                "delay_ms": bad.delay_s * 1000,
                "jitter_ms": bad.jitter_s * 1000,
                "reorder": bad.reorder,
                "seed": bad.seed,
            }
        return told


CLEAN = Condition()


@dataclass(frozen=True, slots=True)
class Sound:
    """A scene as it is played."""

    audio: Samples
    """Shape ``(n,)``."""
    after: Samples
    """Whole frames that follow over and over; shape ``(m * 320,)``, ``m`` at least 1."""

    @property
    def frames(self) -> int:
        """Frames of the scene itself; the last may be filled up."""
        return -(-len(self.audio) // FRAME)

    def frame(self, number: int) -> Samples:
        """The frame ``number`` from 0, shape ``(320,)``: of the scene, then of what follows."""
        if number >= self.frames:
            start = (number - self.frames) * FRAME % len(self.after)
            return self.after[start : start + FRAME]
        own = self.audio[number * FRAME : (number + 1) * FRAME]
        return np.concatenate([own, self.after[-(FRAME - len(own)) :]]) if len(own) < FRAME else own


def parse(text: str) -> Condition:
    """Read ``clean``, or a comma list of ``telephone`` and ``NOISE:DB`` such as ``noise:10`` (pink) or
    ``speech-shaped-noise:15``.

    Raises:
        ConfigError: it is something else; the message says what there is.
    """
    condition = CLEAN
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, level = part.partition(":")
        kind = (
            DEFAULT_NOISE
            if name == "noise"
            else name.replace("-", " ").replace("speech shaped", "speech-shaped")
        )
        if part == "telephone":
            condition = Condition(condition.noise, condition.snr_db, True)
        elif colon and kind in NOT_SPEECH and _is_number(level) and condition.noise is None:
            condition = Condition(kind, float(level), condition.telephone)
        elif part != "clean":
            kinds = ", ".join(kind.replace(" ", "-") for kind in NOT_SPEECH)
            raise ConfigError(
                f"{part!r} is no condition: say clean, telephone, or one noise and how many dB it is below "
                f"the speech, such as noise:10. Noises: noise (pink), {kinds}"
            )
    return condition


def apply(condition: Condition, audio: Samples, seed: int) -> Sound:
    """A scene as it is played under a condition. The same seed gives the same sound.

    Args:
        audio: 16 kHz mono, shape ``(n,)``.
    """
    after = np.zeros(AFTER_S * SAMPLE_RATE, np.float32)
    if condition.noise:
        strength = _speech_rms(audio) * 10 ** (-condition.snr_db / 20)
        noise = NOT_SPEECH[condition.noise](NOISE_S, seed)
        noise *= strength / max(1e-9, float(np.sqrt(np.mean(noise**2))))
        whole = np.resize(noise, len(audio) + len(after)).astype(np.float32)
        audio = np.clip(audio + whole[: len(audio)], -1, 1).astype(np.float32)
        after = np.clip(whole[len(audio) :], -1, 1)
    if condition.telephone:
        line = telephone(np.concatenate([audio, after]))
        audio, after = line[: len(audio)], line[len(audio) :]
    return Sound(audio, after)


def _speech_rms(audio: Samples) -> float:
    """The loudness of what is said, without the silence between."""
    if len(audio) < FRAME:
        return 0.0
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float64)
    power = np.mean(frames**2, axis=1)
    loud = power >= power.max() * 10 ** (-QUIET_DB / 10)
    return float(np.sqrt(power[loud].mean()))


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
