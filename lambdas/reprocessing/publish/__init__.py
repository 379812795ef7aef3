"""The commit of a run: all that it has made, checked, and then in the table at once.

Hands on `Committed`: the merge that was published, and the snapshots before and after it.
"""
