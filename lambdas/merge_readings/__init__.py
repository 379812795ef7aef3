"""Merges the rows of one task of a reprocessing run."""
