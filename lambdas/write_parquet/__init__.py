"""Writes the Parquet files of one task of a compaction run."""
