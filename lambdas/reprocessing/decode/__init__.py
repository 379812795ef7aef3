"""What was archived or set aside, decoded by the rules of now, task by task.

Hands on readings in `staging/`, for `merge`, and a `DecodeResult` a task, which accounts for every record.
"""
