"""Has the frozen objects of a reprocessing restored."""
