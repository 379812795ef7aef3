"""Takes what a reprocessing has published out of the table, and puts back what was there before."""
