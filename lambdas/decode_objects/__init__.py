"""Decodes the objects of one task of a reprocessing."""
