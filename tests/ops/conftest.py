"""A lake, and a deployment on it, for the tests of the command line."""

from collections.abc import Iterator

import pytest

from tests.lake import Lake
from tests.lambdas.conftest import lake, memory_lake
from tests.ops.answering import lake_with_runs
from tests.ops.deployment import Deployment, deployed

__all__ = ["deployment", "lake", "lake_with_runs", "memory_lake"]


@pytest.fixture
def deployment(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """Machines whose functions are real, on an empty lake."""
    monkeypatch.setattr("ops.following._POLL_S", 0.05)
    deployed().begin()
    yield deployed()
    deployed().end()
