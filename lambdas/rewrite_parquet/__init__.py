"""Rewrites the rows of one task of an optimization run."""
