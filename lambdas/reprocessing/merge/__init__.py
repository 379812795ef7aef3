"""What was decoded, in the place of the rows of the table that it replaces, and both compared.

Planned for a snapshot of the table, then done task by task. Hands on data files that no snapshot names yet and a
`MergeResult` a task, which accounts for every row, for `publish`; the same tasks to `hot`.
"""
