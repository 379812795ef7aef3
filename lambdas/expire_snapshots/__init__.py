"""Takes old snapshots out of the table."""
