"""What the progress of a reprocessing tells beside its tasks: objects and rows decoded, what Glacier still holds."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from compaction.store import Store
from ops.executions import RUNNING, Progress, state_data
from ops.figures import age, count
from ops.following import Pace, speed
from ops.stack import Stack
from reprocessing.keys import decoded_key, plan_key
from reprocessing.manifests import DecodeResult, Plan
from reprocessing.report.costs import thaw

RESTORING = "Wait For Restored Copies"
DECODING = "DecodeObjects"
_READ = 50  # results a look: a second or two, so that the picture goes on moving


class Done(NamedTuple):
    """Objects of a run that are decoded, and the readings stored of them; `is_behind` until all results are read."""

    objects: int
    rows: int
    is_behind: bool = False


class Decoded:
    """What the decoding tasks of a run have done, by the results that they leave, each of which is read once."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id
        self._read: set[str] = set()
        self._done = Done(0, 0)

    def look(self, tasks: int) -> Done:
        """The sums so far, where so many tasks are done. Whoever comes late catches up some results a look."""
        if tasks <= len(self._read):
            return self._done
        new = (key for key in self._store.keys(decoded_key(self._run_id, "").removesuffix(".json")))
        for key in [key for key in new if key not in self._read][:_READ]:
            result = msgspec.json.decode(self._store.read(key) or b"", type=DecodeResult)
            rows = sum(one.stored for one in result.objects)
            self._done = Done(self._done.objects + len(result.objects), self._done.rows + rows)
            self._read.add(key)
        return self._done._replace(is_behind=len(self._read) < tasks)


def _now() -> datetime:
    return datetime.now(UTC)


class Watching:
    """Lines about one execution; the run's plan and results are read as soon as it has a run."""

    def __init__(self, stack: Stack, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._states = stack.client("stepfunctions")
        self._store = Store(stack.client("s3"), stack.outputs["ProcessedBucketName"])
        self._state: str | None = None
        self._data: dict[str, Any] = {}
        self._plan: Plan | None = None
        self._decoded: Decoded | None = None
        self._pace = Pace()

    def __call__(self, arn: str, now: Progress) -> Sequence[str]:
        """What there is to tell, a line each."""
        if now.state != self._state or now.state == RESTORING:  # a look may have come in between
            self._state, self._data = now.state, state_data(self._states, arn)
        self._find_run()
        return [*self._restoring(now), *self._decoding(now)]

    def _find_run(self) -> None:
        run_id = self._data.get("run_id")
        if run_id is None or self._plan is not None:
            return
        found = self._store.read(plan_key(run_id))
        if found is not None:
            self._plan, self._decoded = msgspec.json.decode(found, type=Plan), Decoded(self._store, run_id)

    def _restoring(self, now: Progress) -> list[str]:
        restore = self._data.get("restore")
        if restore is None or self._plan is None or now.state != RESTORING or now.status not in RUNNING:
            return []
        waiting = f"{restore['waiting']:,} of {count(self._plan.frozen, 'frozen object')}"
        passed = age((self._clock() - datetime.fromisoformat(self._plan.started_at)).total_seconds())
        takes = f"{self._plan.request.restore_tier} takes up to {age(thaw(self._plan).hours * 3600)}"
        return [f"S3 has still to restore {waiting} after {passed}; {takes}; a look every {age(restore['wait_s'])}"]

    def _decoding(self, now: Progress) -> list[str]:
        if self._plan is None or self._decoded is None or now.tasks is None:
            return []
        of_decoding = DECODING in now.tasks.map
        done = self._decoded.look(now.tasks.done if of_decoding else self._plan.tasks)
        told = [f"{done.objects:,} of {count(self._plan.objects, 'object')}", count(done.rows, "row")]
        if done.is_behind:
            return [f"decoded: at least {', '.join(told)}"]
        rate = self._pace.of(done.rows)
        if of_decoding and rate is not None:
            told.append(speed(rate))
        return [f"decoded: {', '.join(told)}"]
