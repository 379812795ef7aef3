"""A lake of its own for each test, in memory."""

from tests.lambdas.compaction.conftest import memory_lake

__all__ = ["memory_lake"]
