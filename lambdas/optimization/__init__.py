"""The upkeep of the table: many, small, overlapping or unsorted files become few large ones; what is old goes."""
