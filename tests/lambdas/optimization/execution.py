"""An execution of the state machine `optimize` on the lake of a test."""

from collections.abc import Callable
from typing import Any

from tests.lake import Lake
from tests.lambdas.optimization import upkeep
from tests.upkeep import FILE_BYTES, Upkeep


class Execution:
    """Takes the steps of a run; redriven, it goes on with the one that failed."""

    def __init__(self, lake: Lake, run_id: str, file_bytes: int = FILE_BYTES) -> None:
        self.lake = lake
        self.run_id = run_id
        self._upkeep = Upkeep(lake, file_bytes)
        self._answers: dict[str, Any] = {}

    def on(self, lake: Lake) -> "Execution":
        """The execution as far as it is, on a copy of its lake."""
        other = Execution(lake, self.run_id, self._upkeep.file_bytes)
        other._answers = dict(self._answers)
        return other

    def drive(self, steps: int = 5) -> None:
        """Take the steps that are left of so many."""
        for name, step in list(self._steps().items())[:steps]:
            if name not in self._answers:
                self._answers[name] = step(self.run_id)

    def _steps(self) -> dict[str, Callable[[str], Any]]:
        return {
            "plan": self._upkeep.plan,
            "rewrite": self._upkeep.write,
            "commit": lambda run_id: self._upkeep.commit(run_id) if self._answers["plan"]["tasks"] else None,
            "expire": lambda run_id: upkeep.expirer(self.lake).expire(run_id),
            "sweep": lambda run_id: upkeep.sweeper(self.lake).close(
                run_id, self._answers["commit"], self._answers["expire"]
            ),
        }
