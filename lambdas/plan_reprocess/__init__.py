"""Plans one run of a reprocessing."""
