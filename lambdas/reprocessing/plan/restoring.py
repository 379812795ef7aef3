"""Frozen objects of a run: restored, and looked at until all of them can be read.

A look first asks for copies of the objects that have none, then goes on from object to object while it finds them
restored; it ends where several are not. So a million objects take a million requests, and not a million a look. A look
that runs out of time leaves where it was, and the next one goes on there.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from botocore.exceptions import ClientError, HTTPClientError

from compaction.ahead import ahead
from compaction.errors import ResultMissing
from compaction.manifests import PlannedObject
from compaction.store import Store, error_code
from reprocessing.errors import RestoreRefused
from reprocessing.keys import frozen_key, restoring_key
from reprocessing.manifests import Plan, Restoring
from reprocessing.plan.frozen import WAIT_S, Copy, copy_of, patience
from reprocessing.request import Request
from reprocessing.runs import read_plan

_AGAIN_S: Final = 1  # the time of the invocation ran out: there is more to do at once
_LATER_S: Final = 60  # S3 is busy
_RESERVE_S: Final = 60  # of the invocation: calls under way with their retries, and the manifest
_ALONE: Final = timedelta(days=1)  # a copy lasts a day at least: after a longer break, each is looked at again
_MOST_NAMED: Final = 10

_PASSING: Final = frozenset(
    {"GlacierExpeditedRetrievalNotAvailable", "InternalError", "OperationAborted", "RequestTimeout"}
    | {"ServiceUnavailable", "SlowDown", "ThrottlingException", "429", "500", "503"}
)
"""Codes of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; HeadObject gives the status alone."""
_UNDER_WAY: Final = frozenset({"RestoreAlreadyInProgress", "ObjectAlreadyInActiveTierError"})
"""Of https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html; the second needs no restore any more."""

Answer = TypeVar("Answer")


class Refusal(NamedTuple):
    """Why an object cannot be restored."""

    reason: str


class Restorer(msgspec.Struct, frozen=True):
    """Where frozen objects are, and the manifests that say how far a run is with them."""

    s3: Any
    raw_bucket: str
    processed_bucket: str

    def look(self, run_id: str, now: datetime, time_left_s: Callable[[], float]) -> dict[str, int]:
        """Request what is not requested yet, and see how much is restored.

        Answers objects `waiting` and `restored`, and `wait_s`, the seconds until the next look. May be repeated at any
        time: what has a copy, or is about to, is not requested again. Raises RestoreRefused, naming objects, when S3
        does not restore them, or has not long after it should have.
        """
        plan = read_plan(self._store, run_id)
        done = self._so_far(plan, now)
        if done.requested < plan.frozen:
            done = self._request(plan, done, now, time_left_s)
        waiting: list[str] = []
        if done.requested == plan.frozen and not done.refused:
            done, waiting = self._find(plan, done, time_left_s)
        done = msgspec.structs.replace(done, looked_at=now.isoformat())
        self._store.write(restoring_key(run_id), msgspec.json.encode(done))
        if time_left_s() <= _RESERVE_S:
            return _answer(plan, done, _AGAIN_S)
        if done.refused and done.requested == plan.frozen:
            raise RestoreRefused(
                f"At least {done.refused} of the {plan.frozen} frozen objects of run {run_id} cannot be restored: "
                f"{'; '.join(done.reasons)}. Mend that, or ask for a range without them, and start the execution again."
            )
        if _is_overdue(plan, done, now):
            asked_now = msgspec.structs.replace(done, requested_at=now.isoformat())  # whoever looks again, waits again
            self._store.write(restoring_key(run_id), msgspec.json.encode(asked_now))
            raise RestoreRefused(_overdue(plan, done, waiting))
        all_requested = done.requested == plan.frozen
        return _answer(plan, done, WAIT_S[plan.request.restore_tier] if all_requested else _LATER_S)

    @property
    def _store(self) -> Store:
        return Store(self.s3, self.processed_bucket)

    def _so_far(self, plan: Plan, now: datetime) -> Restoring:
        """How far the run is; at the beginning when it was through, has failed, or nobody has looked for long."""
        anew = Restoring(requested_at=now.isoformat(), looked_at=now.isoformat())
        body = self._store.read(restoring_key(plan.run_id))
        if body is None:
            return anew
        done = msgspec.json.decode(body, type=Restoring)
        forgotten = now - datetime.fromisoformat(done.looked_at) > _ALONE
        through = done.requested == plan.frozen and (done.refused or done.restored == plan.frozen)
        return anew if through or forgotten else done

    def _request(self, plan: Plan, done: Restoring, now: datetime, time_left_s: Callable[[], float]) -> Restoring:
        def request(planned: PlannedObject) -> Refusal | None:
            return self._restore(planned.key, plan.request, now)

        requested, refused, reasons = done.requested, done.refused, [*done.reasons]
        for planned, refusal in self._in_time(plan, done.requested, request, time_left_s):
            requested += 1
            if refusal:
                refused += 1
                reasons.append(f"{planned.key}: {refusal.reason}")
        return Restoring(
            requested_at=done.requested_at if requested == done.requested else now.isoformat(),
            looked_at=done.looked_at,
            requested=requested,
            refused=refused,
            reasons=tuple(reasons[:_MOST_NAMED]),
        )

    def _find(self, plan: Plan, done: Restoring, time_left_s: Callable[[], float]) -> tuple[Restoring, list[str]]:
        """How many are restored from the first on, and the next ones that are not, a few of them."""
        restored, waiting, reasons = done.restored, list[str](), list[str]()
        for planned, found in self._in_time(plan, restored, lambda planned: self._head(planned.key), time_left_s):
            if isinstance(found, Refusal):
                reasons.append(f"{planned.key}: {found.reason}")
            elif found.is_readable:
                restored += 0 if waiting or reasons else 1
            elif found.in_progress:
                waiting.append(planned.key)
            else:
                reasons.append(f"{planned.key}: its copy is gone before all were there; raise 'restore.days'")
            if max(len(waiting), len(reasons)) == _MOST_NAMED:
                break
        known = msgspec.structs.replace(done, restored=restored, refused=len(reasons), reasons=tuple(reasons))
        return known, waiting

    def _in_time(
        self, plan: Plan, first: int, call: Callable[[PlannedObject], Answer], time_left_s: Callable[[], float]
    ) -> Iterator[tuple[PlannedObject, Answer]]:
        """The frozen objects from this number on, each with what the call answers, while there is time and S3 obeys."""
        lines = self._store.lines(frozen_key(plan.run_id))
        if lines is None:
            raise ResultMissing(f"{frozen_key(plan.run_id)} is gone, which names the frozen objects. Start a new run.")
        planned = map(msgspec.json.Decoder(PlannedObject).decode, islice(lines, first, None))
        try:
            yield from ahead(call, takewhile(lambda _: time_left_s() > _RESERVE_S, planned))
        except (ClientError, HTTPClientError):  # one that passes: the next look goes on with the same object
            return

    def _restore(self, key: str, request: Request, now: datetime) -> Refusal | None:
        """Have a copy made, unless there is one that lasts. Raises the failures that pass."""
        copy = self._head(key)
        if isinstance(copy, Refusal):
            return copy
        if copy.in_progress or copy.lasts(now, request.restore_tier):
            return None
        if copy.storage_class == "DEEP_ARCHIVE" and request.restore_tier == "Expedited":
            return Refusal("S3 does not restore DEEP_ARCHIVE by 'Expedited'; ask for 'Standard' or 'Bulk'")
        wanted = {"Days": request.restore_days, "GlacierJobParameters": {"Tier": request.restore_tier}}
        try:
            self.s3.restore_object(Bucket=self.raw_bucket, Key=key, RestoreRequest=wanted)
        except ClientError as error:
            return None if error_code(error) in _UNDER_WAY else _refusal(error)
        return None

    def _head(self, key: str) -> Copy | Refusal:
        try:
            return copy_of(self.s3.head_object(Bucket=self.raw_bucket, Key=key))
        except ClientError as error:
            return _refusal(error)


def _refusal(error: ClientError) -> Refusal:
    """What a failed call means for good. Raises the error again if it passes."""
    if error_code(error) in _PASSING:
        raise error
    return Refusal(f"{error_code(error)} {error.response['Error'].get('Message', '')}".strip())


def _answer(plan: Plan, done: Restoring, wait_s: int) -> dict[str, int]:
    return {"waiting": plan.frozen - done.restored, "restored": done.restored, "wait_s": wait_s}


def _is_overdue(plan: Plan, done: Restoring, now: datetime) -> bool:
    since = now - datetime.fromisoformat(done.requested_at)
    return done.restored < plan.frozen and since > patience(plan.request.restore_tier)


def _overdue(plan: Plan, done: Restoring, waiting: list[str]) -> str:
    tier = plan.request.restore_tier
    what = (
        f"is still restoring {', '.join(waiting)}" if waiting else f"takes no request for object {done.requested + 1}"
    )
    return (
        f"{plan.frozen - done.restored} of the {plan.frozen} frozen objects of run {plan.run_id} are not restored, "
        f"{patience(tier)} after they were asked for by '{tier}': S3 {what}. Start the execution with the same input "
        "again, which waits for them once more, or ask for another 'restore.tier'."
    )
