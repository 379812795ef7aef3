"""Publishes what a reprocessing has merged in one Iceberg snapshot, once all of it is accounted for."""
