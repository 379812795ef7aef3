"""Claims to ranges: of all executions that change readings, one at a time has a range.

An execution writes its claim, then reads all of them, and goes on only when no other one that overlaps is of an
execution that runs. Of two that do so at the same moment, the one that reads last sees the other's: both may withdraw,
and both can never go on. The claim of an execution that was stopped does not hold; redriven, it has to claim again.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from compaction.store import Store
from reprocessing.errors import RangeHeld
from reprocessing.keys import CLAIMS_PREFIX, claim_key
from reprocessing.ledger import Claim
from reprocessing.request import Scope
from reprocessing.scope import may_overlap
from sensors.times import iso_ms

LOOKS: Final = 5
LOOK_S: Final = 1.0
"""Whoever has a claim already looks so often: one that comes later withdraws at its first look."""

_NAMED: Final = 3  # devices of an error
_ALIVE: Final = frozenset({"RUNNING", "PENDING_REDRIVE"})


class Claims:
    """The claims in a bucket, for one execution (its ARN); `states` is the client that tells which others run."""

    def __init__(
        self, store: Store, states: Any, execution_arn: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._store = store
        self._states = states
        self._execution_arn = execution_arn
        self._key = claim_key(execution_arn.rpartition(":")[2])
        self._sleep = sleep

    def hold(self, run_id: str, scope: Scope, since: str) -> None:
        """Have the range for a run, be it claimed already or not; `since` is now, in ISO-8601.

        Raises RangeHeld, which names the run that has the range; the claim is withdrawn then.
        """
        looks = LOOKS
        if self._store.read(self._key) is None:
            claim = Claim(run_id, self._execution_arn, scope, since)
            self._store.write(self._key, msgspec.json.encode(claim))
            looks = 1
        other = self._other(scope)
        for _ in range(looks - 1):
            if other is None:
                break
            self._sleep(LOOK_S)
            other = self._other(scope)
        if other is not None:
            self.release()
            raise RangeHeld(_told(other))

    def release(self) -> None:
        """Give the range back; nothing, if it is not held."""
        self._store.delete(self._key)

    def _other(self, scope: Scope) -> Claim | None:
        """A claim to a part of the range by another execution that runs; claims of those that do not are deleted."""
        for claim in self._claims():
            if claim.execution == self._execution_arn or not may_overlap(claim.scope, scope):
                continue
            if self._is_alive(claim.execution):
                return claim
            self._store.delete(claim_key(claim.execution.rpartition(":")[2]))
        return None

    def _claims(self) -> Iterator[Claim]:
        for key in self._store.keys(CLAIMS_PREFIX):
            body = self._store.read(key)
            if body is not None:  # withdrawn in between
                yield msgspec.json.decode(body, type=Claim)

    def _is_alive(self, execution_arn: str) -> bool:
        try:
            return self._states.describe_execution(executionArn=execution_arn)["status"] in _ALIVE
        except self._states.exceptions.ExecutionDoesNotExist:
            return False


def _told(claim: Claim) -> str:
    scope = claim.scope
    named = ", ".join((*scope.devices[:_NAMED], *(["..."] if len(scope.devices) > _NAMED else [])))
    times = f"{iso_ms(max(scope.start_ms, 0))} to {iso_ms(scope.end_ms)}"
    return (
        f"Run {claim.run_id} has had {times}{f' of {named}' if named else ''} since {claim.since} (execution "
        f"{claim.execution}). Wait until it is done, stop it, or choose a range that does not overlap."
    )
