"""Publishes the files of one compaction run in one Iceberg snapshot."""
