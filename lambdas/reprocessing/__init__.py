"""Archived readings once more through today's rules: what the steps of a run share, and each step as a package.

`plan`, `decode`, `merge`, `publish`, `hot` and `report` follow one another; `undo` takes a run back. What a step knows
of another is what that one has written down (`manifests`, `merge_manifests`, by the names of `keys`). Only the report
also counts changes and alarms as `merge` does.
"""
