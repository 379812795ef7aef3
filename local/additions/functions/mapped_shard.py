"""One Kinesis shard of MiniStack together with the function that it is mapped to."""

import bisect
import logging
from collections.abc import Sequence
from typing import Any

from local.additions import services
from local.additions.functions import on_failure
from local.additions.functions.batches import Answer, Part, Policy, Record

READING = ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")

log = logging.getLogger("event_source")


class MappedShard:
    """One shard of a mapping, as a lane's source."""

    def __init__(self, scope: tuple[str, str], mapping: dict[str, Any], stream: dict[str, Any], shard_id: str) -> None:
        self.scope = scope
        self.mapping = mapping
        self.shard_id = shard_id
        self.lanes = self.policy().parallelization
        self._stream = stream

    @property
    def stream_id(self) -> int:
        """Tells a stream from one of the same name that was created after it was deleted."""
        return id(self._stream)

    def starting_position(self, lane: int) -> int:
        """The sequence number after which a lane begins.

        Its checkpoint; else what StartingPosition says. A shard that a running mapping had not seen is new and read
        whole; one that had another number of lanes goes on from the lowest of theirs (some records come again).
        """
        known = self._positions()
        if not known:
            for shard_id in self._stream["shards"]:
                self._set_all(known, shard_id, self._first_position(shard_id))
        mine = {name: known[name] for name in known if name.startswith(f"{self.shard_id}/")}
        if self._key(self.shard_id, lane) not in mine:
            for name in mine:
                del known[name]
            self._set_all(known, self.shard_id, min(mine.values(), default=0))
        return known[self._key(self.shard_id, lane)]

    def policy(self) -> Policy:
        """The mapping's parameters now."""
        return Policy.of(self.mapping)

    def read(self, after: int, limit: int) -> Sequence[Record]:
        """Records after a sequence number, when the function's role may read the stream."""
        from ministack.services import kinesis

        records = self._stream["shards"][self.shard_id]["records"]
        start = bisect.bisect_right(records, after, key=lambda record: int(record["SequenceNumber"]))
        found = records[start : start + limit]
        if not found or not self._may_read():
            return []
        return [
            Record(
                record["SequenceNumber"],
                record["PartitionKey"],
                kinesis._ensure_base64(record["Data"]),
                record["ApproximateArrivalTimestamp"],
            )
            for record in found
        ]

    def invoke(self, records: Sequence[Record]) -> Answer:
        """Call the function, with the event as AWS writes it."""
        from ministack.services import lambda_svc

        function = self._function()
        if function is None:
            return Answer(throttled=True)  # being replaced; records wait
        event = self._event(records)
        event["Records"] = lambda_svc._apply_filter_criteria(event["Records"], self.mapping)
        result = lambda_svc._execute_function(function, event) if event["Records"] else {}
        body = result.get("body")
        if result.get("throttle"):
            return Answer(throttled=True)
        if result.get("error"):
            why = body.get("errorMessage") if isinstance(body, dict) else body
            log.warning("%s failed on %d records: %s", self.mapping["FunctionName"], len(records), why)
            self._report("PROBLEM: Function call failed")
            return Answer(body, error=str(why))
        self._report("OK")
        return Answer(body)

    def discard(self, part: Part, condition: str) -> None:
        """Write the records to the on-failure destination; a refusal shows in the mapping and the log."""
        log.warning("%s: gives up %d records: %s", self.mapping["FunctionName"], len(part.records), condition)
        try:
            event = self._event(part.records)
            on_failure.write(self.mapping, self._role_arn(), self.shard_id, part, condition, event)
        except Exception as error:
            log.exception("%s: the on-failure destination got nothing", self.mapping["FunctionName"])
            self._report(f"PROBLEM: On-failure destination: {error}")

    def checkpoint(self, lane: int, sequence: int) -> None:
        """Remember a lane's progress."""
        self._positions()[self._key(self.shard_id, lane)] = sequence

    def _positions(self) -> dict[str, int]:
        """The mapping's checkpoints, where MiniStack saves, restores and drops them with the mapping."""
        from ministack.services import lambda_svc

        kept = lambda_svc._kinesis_positions
        known: dict[str, int] | None = kept.get_scoped(*self.scope, self.mapping["UUID"])
        if known is None:
            known = {}
            kept.set_scoped(*self.scope, self.mapping["UUID"], known)
        return known

    def _key(self, shard_id: str, lane: int) -> str:
        return f"{shard_id}/{lane}/{self.lanes}"

    def _set_all(self, known: dict[str, int], shard_id: str, sequence: int) -> None:
        for lane in range(self.lanes):
            known[self._key(shard_id, lane)] = sequence

    def _first_position(self, shard_id: str) -> int:
        records = self._stream["shards"][shard_id]["records"]
        if self.mapping.get("StartingPosition") == "TRIM_HORIZON" or not records:
            return 0
        return int(records[-1]["SequenceNumber"])

    def _event(self, records: Sequence[Record]) -> dict[str, Any]:
        common = {
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": self._role_arn(),
            "awsRegion": self.scope[1],
            "eventSourceARN": self.mapping["EventSourceArn"],
        }
        return {"Records": [common | self._own(record) for record in records]}

    def _own(self, record: Record) -> dict[str, Any]:
        kinesis = {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key,
            "sequenceNumber": record.sequence_number,
            "data": record.data,
            "approximateArrivalTimestamp": record.arrived_at,
        }
        return {"kinesis": kinesis, "eventID": f"{self.shard_id}:{record.sequence_number}"}

    def _function(self) -> dict[str, Any] | None:
        from ministack.services import lambda_svc

        return lambda_svc._get_func_record_for_qualifier(  # type: ignore[no-any-return]
            self.mapping["FunctionName"], self.mapping.get("Qualifier")
        )[0]

    def _role_arn(self) -> str:
        return str(((self._function() or {}).get("config") or {}).get("Role", ""))

    def _may_read(self) -> bool:
        """Lambda reads the stream with the function's role."""
        stream = self.mapping["EventSourceArn"]
        try:
            needed = [(f"kinesis:{action}", stream) for action in READING]
            services.demand(self._role_arn(), self.mapping["FunctionName"], *needed)
        except services.RefusedError as error:
            self._report(f"PROBLEM: {error}")
            return False
        return True

    def _report(self, result: str) -> None:
        self.mapping["LastProcessingResult"] = result
