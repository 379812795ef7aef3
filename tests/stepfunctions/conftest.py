"""A deployment of the compaction for the tests of its state machine."""

from tests.ops.conftest import deployment, lake

__all__ = ["deployment", "lake"]
