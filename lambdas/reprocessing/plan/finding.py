"""Which objects a reprocessing takes up: those of the hours that can hold its range, and all that its rows come from.

Nothing is held but the names that rows of the scope give; archive, ledger and quarantine are walked in order of key.
"""

from collections.abc import Container, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError
from pyiceberg.table import Table

from compaction.ahead import ahead
from compaction.archive import Listed, between, listed
from compaction.errors import InvalidInput
from compaction.hours import HOUR, Window, hour_of, hour_prefix
from compaction.joining import beside
from compaction.lake_table import committed
from compaction.ledger import Ledger
from compaction.manifests import PlannedObject
from compaction.planning import MAX_OBJECTS
from compaction.store import Store, error_code
from optimization.inventory import inventory
from reprocessing.plan.failed import failed_objects
from reprocessing.plan.frozen import Copy, copy_of
from reprocessing.request import TARGETS, Request
from reprocessing.scope import archive_window, moment, quarantine_days
from reprocessing.touching import sources_of
from sensors.quarantine import REASONS, day_prefix, reason_prefix, source_of
from sensors.settings import Decoding

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})


class Found(NamedTuple):
    """An object that is taken up.

    `to_table` is False while no compaction has committed it; `is_outside` is one beyond the hours of the range.
    """

    key: str
    bytes: int
    etag: str
    storage_class: str
    to_table: bool = True
    is_frozen: bool = False
    is_outside: bool = False

    @property
    def planned(self) -> PlannedObject:
        """As it stands in a task."""
        return PlannedObject(self.key, self.bytes, self.etag)


class Finder:
    """Finds the objects of a request. `store` is the bucket of the manifests, `table` None before there is one, `now`
    when the function was called.

    Once all are found, `missing` are the names of objects that should be in the archive and are not, and `waiting`
    is how many no compaction has committed yet, whether they are taken up or not.
    """

    def __init__(
        self,
        s3: Any,
        raw_bucket: str,
        store: Store,
        table: Table | None,
        decoding: Decoding,
        request: Request,
        now: datetime,
    ) -> None:
        self._s3 = s3
        self._raw_bucket = raw_bucket
        self._store = store
        self._table = table
        self._decoding = decoding
        self._request = request
        self._now = now
        self._takes_waiting = "hot" in request.targets or request.mode == "backtest"
        self.missing: set[str] = set()
        self.waiting = 0

    def find(self) -> Iterator[Found]:
        """The objects in order of key. Raises InvalidInput when a run has no failed tasks, or rows too many sources."""
        if self._request.source == "quarantine":
            return self._of_quarantine()
        if self._request.failed_tasks_of is not None:
            return self._of_failed_tasks(self._request.failed_tasks_of)
        return self._of_archive()

    def _of_archive(self) -> Iterator[Found]:
        """The hours of the range, and what its rows name before and after these hours."""
        window = archive_window(self._request.scope, self._decoding)
        start, end = hour_prefix(window.start or moment(0)), hour_prefix(window.end)
        named = self._named()
        yield from self._outside(key for key in named if key < start)
        inside = listed(self._s3, self._raw_bucket, window)
        for found in self._joined(inside, window.end, named):
            named.discard(found.key)
            yield found
        yield from self._outside(key for key in named if key >= end)
        self.missing.update(key for key in named if start <= key < end)

    def _named(self) -> set[str]:
        """The objects that rows of the scope come from."""
        if self._table is None:
            return set()
        scope, io = self._request.scope, self._table.io
        location = f"s3://{self._store.bucket}/"
        alive = inventory(self._table, location, moment(scope.start_ms), moment(scope.end_ms)).files
        paths = (file.path for files in alive.values() for file in files)
        named: set[str] = set()
        for _, sources in ahead(lambda path: sources_of(io, path, scope), paths):
            named |= sources
            if len(named) > MAX_OBJECTS:
                raise InvalidInput(
                    f"from: the range has rows of more than {MAX_OBJECTS:,} objects, and a run takes no more. Narrow "
                    "'from' and 'to', or write 'devices', and do the rest with other runs."
                )
        return named

    def _outside(self, keys: Iterable[str]) -> Iterator[Found]:
        """Objects of the table by name; what is not there is missing."""
        there = ((item, True) for item in self._looked_up(sorted(keys)))
        return (found._replace(is_outside=True) for found in self._taken(there))

    def _of_failed_tasks(self, run_id: str) -> Iterator[Found]:
        keys = sorted(key for key in failed_objects(self._store, run_id) if hour_of(key) is not None)
        if not keys:
            raise InvalidInput(
                f"failed_tasks_of: no task over objects of the archive has failed in a run {run_id} of compact or "
                "reprocess. Write the name of a run that has failed, or write 'source' instead."
            )
        last = hour_of(keys[-1]) or moment(0)
        return self._joined(self._looked_up(keys), last + HOUR, ())

    def _looked_up(self, keys: Iterable[str]) -> Iterator[Listed]:
        for key, head in ahead(self._head, keys):
            if head is None:
                self.missing.add(key)
            else:
                copy = copy_of(head)
                yield Listed(key, head["ContentLength"], head["ETag"].strip('"'), copy.storage_class, copy.until)

    def _joined(self, items: Iterable[Listed], end: datetime, named: Container[str]) -> Iterator[Found]:
        """Archive objects in order of key, with what the ledger says of them, or rows that name them."""
        ledger = Ledger(self._store)
        unrecorded = ledger.unrecorded(committed(self._table)) if self._table else []
        pairs = beside(items, lambda hour: ledger.held_by(unrecorded, Window(hour, end)))
        return self._taken((item, held is not None or item.key in named) for item, held in pairs)

    def _taken(self, pairs: Iterable[tuple[Listed, bool]]) -> Iterator[Found]:
        """The objects that are taken up; each is given with whether it is for the table."""
        for item, to_table in pairs:
            self.waiting += not to_table
            if to_table or self._takes_waiting:
                is_frozen = self._is_frozen(Copy(item.storage_class, item.copy_until))
                yield Found(item.key, item.bytes, item.etag, item.storage_class, to_table, is_frozen)

    def _is_frozen(self, copy: Copy) -> bool:
        """Whether the object has to be restored first; a dry run reads it at once, as long as its copy may last."""
        request = self._request
        return not (copy.is_readable if request.mode == "dry_run" else copy.lasts(self._now, request.restore_tier))

    def _of_quarantine(self) -> Iterator[Found]:
        """What was set aside for a reason that is asked for, or for several, on the days that the range can mean."""
        days = quarantine_days(self._request.scope, self._decoding)
        for reason in sorted({*(self._request.reasons or REASONS), "mixed"}):
            first, end = (day_prefix(reason, day) for day in days)
            for item in between(self._s3, self._store.bucket, reason_prefix(reason), first, end):
                if self._is_meant(item.key):
                    yield Found(item.key, item.bytes, item.etag, item.storage_class)

    def _is_meant(self, key: str) -> bool:
        """Whether a quarantine object may have lines for a target of the run."""
        source = source_of(key)
        return source is None or TARGETS[source] in self._request.targets

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self._s3.head_object(Bucket=self._raw_bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _ABSENT:
                return None
            raise
        return answer
