"""Replaces the rewritten files of one optimization run in one Iceberg snapshot."""
