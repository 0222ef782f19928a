"""Whole recordings to transcripts: what ``POST /v1/transcribe`` does, without the HTTP."""
