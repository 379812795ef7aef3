"""What a run writes down under `runs/compact/<run id>/`: its plan, each task's result, its report."""

import msgspec

from sensors.counts import Counts

RUNS_PREFIX = "runs/compact/"

KEYS_METADATA = "sensorkeep.key_checksum"
"""Of a Parquet footer: the checksum of the keys of the file's rows, see `compaction.checksum`."""

FIRST_KEY_METADATA = "sensorkeep.first_key"
LAST_KEY_METADATA = "sensorkeep.last_key"
"""Of a Parquet footer: the keys of the file's first and last row, as JSON: `["pump-1",1795251600000]`.

Rows lie in order of key between them, which no statistics of single columns can say.
"""


class PlannedObject(msgspec.Struct, frozen=True):
    """An archive object as it was when it was planned: key, compressed size in bytes, entity tag."""

    key: str
    bytes: int
    etag: str


class Task(msgspec.Struct, frozen=True):
    """One line of `plan.jsonl`: the objects that one invocation of `write_parquet` takes up.

    Tasks of a chunk follow each other in the plan, and all keys of a chunk come before those of the next: whoever
    wants the plan's objects in order sorts one chunk at a time.
    """

    task_id: str
    objects: tuple[PlannedObject, ...]
    chunk: int = 0

    @property
    def bytes(self) -> int:
        """Compressed archive bytes of the task."""
        return sum(planned.bytes for planned in self.objects)


class ObjectResult(msgspec.Struct, frozen=True):
    """What became of one object's records; a duplicate counts for the object that lost."""

    key: str
    etag: str
    records: int
    stored: int
    duplicate: int
    quarantined: int

    @property
    def balances(self) -> bool:
        """Whether every record is accounted for once."""
        return self.records == self.stored + self.duplicate + self.quarantined


class FileResult(msgspec.Struct, frozen=True):
    """One Parquet file: key in the processed bucket, partition of `measured_at`, and what it holds.

    `key_checksum` is the sum of `compaction.checksum` in 16 hexadecimal digits; it stands in the file's footer too.
    """

    key: str
    partition: str
    rows: int
    bytes: int
    first_device_id: str
    last_device_id: str
    first_measured_at_ms: int
    last_measured_at_ms: int
    key_checksum: str


class TaskResult(msgspec.Struct, frozen=True):
    """`results/<task id>.json`: a line an object, a line a file."""

    run_id: str
    task_id: str
    objects: tuple[ObjectResult, ...]
    files: tuple[FileResult, ...]
    quarantine_key: str | None
    counts: Counts


class Report(msgspec.Struct, frozen=True):
    """`report.json`: the sums of a committed run; `snapshot_id` is None until it is committed.

    The id is text: it has 63 bits, of which a reader of JSON may keep 53, and a state machine hands it on.
    """

    run_id: str
    committed: bool
    tasks: int
    objects: int
    archive_bytes: int
    records: int
    stored: int
    duplicate: int
    quarantined: int
    quarantined_by_reason: dict[str, int]
    late: int
    ignored_fields: int
    files: int
    bytes: int
    snapshot_id: str | None


def plan_key(run_id: str) -> str:
    """Key of a run's plan."""
    return f"{RUNS_PREFIX}{run_id}/plan.jsonl"


def results_prefix(run_id: str) -> str:
    """What the keys of a run's results begin with."""
    return f"{RUNS_PREFIX}{run_id}/results/"


def result_key(run_id: str, task_id: str) -> str:
    """Key of one task's result."""
    return f"{results_prefix(run_id)}{task_id}.json"


def report_key(run_id: str) -> str:
    """Key of a run's report."""
    return f"{RUNS_PREFIX}{run_id}/report.json"
