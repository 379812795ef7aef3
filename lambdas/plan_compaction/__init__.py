"""Plans one compaction run: which archive objects, in which tasks."""
