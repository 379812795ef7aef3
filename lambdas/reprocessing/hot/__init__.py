"""The readings of a run for the hot table, written task by task, at the run's rate, where they differ.

Hands on a `HotResult` a task, for `report`.
"""
