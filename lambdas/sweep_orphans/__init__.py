"""Deletes the files of the table that no snapshot names any more."""
