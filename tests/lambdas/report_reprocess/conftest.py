"""A lake of its own for each test, on the embedded AWS, and what a function finds beside its code."""

from tests.lambdas.compaction.conftest import context, lake, memory_lake, settings_file

__all__ = ["context", "lake", "memory_lake", "settings_file"]
