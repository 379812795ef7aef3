"""Plans one run of the table's upkeep."""
