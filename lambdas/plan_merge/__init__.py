"""Plans the merge of what a run has decoded with the table."""
