"""FFmpeg's WHIP muxer: ``python -m tests.e2e.clients.ffmpeg_whip URL CLIP.npy {active,passive} FOLDER``.

Speaks the clip in real time, then a second of silence, and ends as FFmpeg ends: with DELETE.
"""

from __future__ import annotations

import datetime
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

RATE = 48_000
FRAME = RATE // 50


def main(url: str, clip: Path, role: str, folder: Path) -> None:
    """Send the clip (16 kHz mono float32)."""
    certificate, key = make_certificate(folder)
    options = {"cert_file": str(certificate), "key_file": str(key), "handshake_timeout": "15000"}
    if role == "active":
        options["whip_flags"] = "dtls_active"
    audio = np.repeat(np.pad(np.load(clip), (8_000, 16_000)), RATE // 16_000)
    with av.open(url, "w", format="whip", options=options) as output:
        stream: Any = output.add_stream("libopus", rate=RATE, layout="stereo")
        stream.codec_context.format = "s16"
        begun = time.monotonic()
        for start in range(0, len(audio) - FRAME, FRAME):
            time.sleep(max(0.0, begun + start / RATE - time.monotonic()))
            pcm = np.round(np.repeat(audio[start : start + FRAME], 2) * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    sys.stdout.write("done\n")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed one with a key on P-256: with a key of its own making the muxer does not connect."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whip")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
