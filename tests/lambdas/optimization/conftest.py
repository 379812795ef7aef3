"""A lake of its own for each test."""

from tests.lambdas.compaction.conftest import memory_lake

__all__ = ["memory_lake"]
