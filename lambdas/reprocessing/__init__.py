"""Archived readings once more through today's rules: what finding, decoding, merging, publishing and telling share."""
