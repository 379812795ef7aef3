"""A whole system in memory: what devices send goes through real time and into the archive, and may be reprocessed."""

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from compaction.hours import Window
from process_readings.batch import Processor
from process_readings.writing import Outcome, Puts
from reprocessing.report.contents import Report
from reprocessing.request import Request
from sensors.hot_items import Items
from sensors.rules import rules
from sensors.settings import Decoding, FunctionSettings, Metric, Threshold
from sensors.settings import Lake as LakeSettings
from sensors.times import iso_ms
from tests.lake import HOUR, Lake, in_memory
from tests.lambdas.reprocessing.harness import HOT_TABLE, Reprocessing, local_settings
from tests.memory_aws import Effects, MemoryStates
from tests.memory_dynamodb import MemoryDynamoDB
from tests.upkeep import Upkeep

METRICS = {
    "temperature": Metric("°C", (Threshold("warning", above=1.0), Threshold("critical", above=2.0))),
    "vibration": Metric("mm/s", (Threshold("warning", below=2.0),)),
}
"""Two declared metrics, beyond whose thresholds values of 1 to 3 are now and then."""

Key = tuple[str, int]
Row = dict[str, Any]


class System:
    """One system, its settings, and the steps that it takes. Objects get names in the order in which they are put."""

    def __init__(
        self, partition_by: str = "day", metrics: dict[str, Metric] = METRICS, lake: Lake | None = None
    ) -> None:
        self.lake = lake or Lake(partition_by=partition_by, aws=in_memory(Effects()))
        self.states = MemoryStates()
        self.hot_table = MemoryDynamoDB(self.lake.s3.effects, HOT_TABLE, ("device_id", "timestamp"))
        self._numbers = {"archived": 0, "streamed": 0, "compact": 0, "optimize": 0, "reprocess": 0}
        self.settings = local_settings()
        self.deploy(metrics)

    def deploy(self, metrics: dict[str, Metric] | None = None, decoding: Decoding | None = None) -> None:
        """Give all functions other settings."""
        self.settings = msgspec.structs.replace(
            self.settings,
            decoding=decoding or self.lake.decoding,
            metrics=self.settings.metrics if metrics is None else metrics,
            lake=LakeSettings(self.lake.partition_by),
        )
        self.lake.decoding, self.lake.metrics = self.settings.decoding, tuple(self.settings.metrics)

    def stream(self, records: Sequence[bytes]) -> None:
        """Real time takes up a batch of the stream."""
        settings, items = self.settings, Items(self.settings.hot_table)

        def write(puts: Puts, _: object) -> Outcome:
            for put in puts.values():
                self.hot_table.store(json.loads(put)["PutRequest"]["Item"])
            return Outcome()

        processor = Processor(settings.system, settings.decoding, rules(settings.metrics), items, write)
        batch = [self._streamed(record) for record in records]
        result = processor.process(batch, iso_ms(self._arrived_ms), lambda: 600)
        if result.quarantined:
            self.lake.store.write(result.quarantined.key, result.quarantined.body)

    def archive(self, records: Iterable[bytes], hour: datetime = HOUR) -> str:
        """Firehose writes an object."""
        return self.lake.put(f"{self._next('archived'):03}", records, hour)

    def arrive(self, records: Sequence[dict[str, Any] | bytes], hour: datetime = HOUR) -> str:
        """Devices send these: real time takes them up and Firehose writes them."""
        sent = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
        self.stream(sent)
        return self.archive(sent, hour)

    def compact(self, task_bytes: int = 10**9) -> None:
        self.lake.run(f"compact-{self._next('compact')}", task_bytes)

    def compact_until(self, hour: datetime) -> None:
        """Compact at a later time than that of all else: what has arrived in this hour too."""
        name = f"compact-{self._next('compact')}"
        self.lake.planner().plan(name, Window(None, hour + timedelta(hours=1)))
        self.lake.write(name)
        self.lake.commit(name)

    def optimize(self) -> None:
        Upkeep(self.lake).run(f"optimize-{self._next('optimize')}")

    def execution(self, asked: Request) -> "Execution":
        """A new execution, not begun."""
        return Execution(self, f"reprocess-{self._next('reprocess'):03}", asked)

    def reprocess(self, asked: Request) -> Report:
        """A whole execution. Raises what ends it without a report."""
        return self.execution(asked).whole()

    def _next(self, what: str) -> int:
        self._numbers[what] += 1
        return self._numbers[what]

    @property
    def _arrived_ms(self) -> int:
        return int(self.lake.now().timestamp() * 1000)

    def _streamed(self, record: bytes) -> dict[str, Any]:
        number = f"{self._next('streamed'):06}"
        kinesis = {
            "data": base64.b64encode(record).decode(),
            "approximateArrivalTimestamp": self._arrived_ms / 1000,
            "sequenceNumber": number,
        }
        return {"kinesis": kinesis, "eventID": f"shardId-0:{number}"}


class Execution(Reprocessing):
    """An execution of `reprocess` on a system, by its settings of now."""

    def __init__(self, system: System, name: str, asked: Request) -> None:
        super().__init__(system.lake, name, asked, states=system.states, hot_table=system.hot_table)
        self._system = system

    @property
    def settings(self) -> FunctionSettings:
        return self._system.settings


def readings(lake: Lake) -> dict[Key, Row]:
    """What a reader finds in the table once rows that are there twice count once; metrics wherever they stand.

    Of rows of a key the last received counts, then that of the last object in order of key.
    """
    if "readings" not in lake.glue.tables:
        return {}
    found: dict[Key, Row] = {}
    for row in sorted(map(said, lake.rows()), key=lambda row: (row["received_at"], row["source_object"])):
        found[row["device_id"], row["measured_at"]] = row
    return found


def said(row: Row) -> Row:
    """A row's columns, times in epoch milliseconds, with all its metrics together."""
    metrics = {name: value for name, value in row.items() if isinstance(value, float)}
    others = {name: value for name, value in row.items() if name not in metrics and value is not None}
    metrics |= dict(others.pop("other_metrics", ()))
    return others | {"metrics": metrics} | {name: ms(row[name]) for name in ("measured_at", "received_at")}


def ms(moment: datetime) -> int:
    """Epoch milliseconds."""
    return round(moment.timestamp() * 1000)


def quarantined(lake: Lake, prefix: str = "quarantine/") -> set[tuple[str, str]]:
    """Position and reason of what is set aside, each once however often it was."""
    bodies = (lake.store.read(key) or b"" for key in lake.store.keys(prefix))
    lines = (json.loads(line) for body in bodies for line in gzip.decompress(body).splitlines())
    return {(line["position"], line["reason"]) for line in lines}
