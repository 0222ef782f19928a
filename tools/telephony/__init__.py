"""What telephony does with many calls, bad lines and strangers: measurements, and the callers that make
them."""
