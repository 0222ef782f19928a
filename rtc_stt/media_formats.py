"""Which files are read: those that people record, keep and send. Pure data, in FFmpeg's names.

FFmpeg knows some 300 forms more. Among them are lists of other files (``concat``, ``hls``, ``dash``,
``sdp``), pictures, devices, generators of sound, and games of 1995; from a stranger none of them is wanted.
"""

from __future__ import annotations

__all__ = ["CODECS", "CONTAINERS", "SIZED_CONTAINERS"]

CONTAINERS = frozenset(
    {
        "aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dts", "eac3",
        "flac", "flv", "loas", "matroska", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf", "nistsphere",
        "nut", "ogg", "oma", "qoa", "rm", "sln", "tak", "tta", "voc", "w64", "wav", "wv",
    }
)  # fmt: skip
"""``mov`` are MP4 and M4A too, ``matroska`` is WebM too, ``asf`` is WMA, ``ogg`` is Opus and Speex too."""

SIZED_CONTAINERS = frozenset({"aiff", "au", "caf", "flac", "mov", "w64", "wav"})
"""Their headers tell how long the audio is; others estimate it, or do not know."""

CODECS = frozenset(
    {
        "aac", "aac_latm", "ac3", "adpcm_g722", "adpcm_g726", "adpcm_g726le", "adpcm_ima_qt", "adpcm_ima_wav",
        "adpcm_ms", "adpcm_swf", "adpcm_yamaha", "alac", "amrnb", "amrwb", "ape", "atrac3", "atrac3p", "cook",
        "dca", "eac3", "flac", "g722", "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms", "ilbc",
        "libopencore_amrnb", "libopencore_amrwb", "libopus", "mp1", "mp1float", "mp2", "mp2float", "mp3",
        "mp3float", "mpc7", "mpc8", "nellymoser", "opus", "pcm_alaw", "pcm_bluray", "pcm_dvd", "pcm_f32be",
        "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16be_planar", "pcm_s16le",
        "pcm_s16le_planar", "pcm_s24be", "pcm_s24le", "pcm_s24le_planar", "pcm_s32be", "pcm_s32le",
        "pcm_s32le_planar", "pcm_s8", "pcm_s8_planar", "pcm_u8", "qcelp", "qoa", "shorten", "sipr", "speex",
        "tak", "truespeech", "tta", "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2",
        "wmavoice",
    }
)  # fmt: skip
"""Decoders of sound. No other is opened, be it only to look: a picture in a file can claim any size."""
