"""What a run takes up: the objects that it needs, in tasks, restored where they are frozen.

Hands on the run's `Plan`, which all later steps go by, and its tasks, for `decode`.
"""
