"""What phone calls are made of, measured: filters, detectors, load and latency."""
