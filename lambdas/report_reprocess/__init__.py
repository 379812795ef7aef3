"""Says what one reprocessing has changed, and ends it."""
