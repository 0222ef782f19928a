"""Whether this process tells of its spans, and by what: OpenTelemetry, OTLP over HTTP (extra ``otel``).

The SDK is imported only where ``OTEL_EXPORTER_OTLP_ENDPOINT`` names a collector. Its environment variables
hold: resource, headers, sampler, time-outs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from rtc_stt.instrument import Instrument
from rtc_stt.spans import SpanSink

__all__ = ["make_sink"]

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def make_sink(role: str, instrument: Instrument, environ: Mapping[str, str] = os.environ) -> SpanSink | None:
    """Where this process puts its spans; None where nobody wants any.

    Args:
        role: ``gateway``, ``primary`` or ``fallback``: the service is ``rtc-stt-`` and that, unless
            ``OTEL_SERVICE_NAME`` says otherwise.
        instrument: is told what becomes of them.
    """
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if is_off or not any(environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from rtc_stt.otlp import OtlpSink
    except ImportError:
        log.warning("no traces: there is a collector to tell, and the extra rtc-stt[otel] is not installed")
        return None
    # It tells of each attempt with the address of the collector.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return OtlpSink(OTLPSpanExporter(), role, instrument)
