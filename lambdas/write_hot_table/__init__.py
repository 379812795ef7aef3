"""Brings the hot table's items of one task of a reprocessing to what the run has decoded."""
