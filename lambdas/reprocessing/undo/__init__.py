"""A run taken back by one commit, while every other commit stays.

Hands on `Undone` and what the ledger says of it, by which later runs and reports know.
"""
