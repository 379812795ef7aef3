"""What an event source mapping for Kinesis deals in: records, its parameters, an invocation's answer."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

INFINITE = -1
PAYLOAD_BYTES = 6 * 1024 * 1024  # of one invocation, the quota of synchronous invocations
ENVELOPE_BYTES = 400  # what surrounds a record's data in the event, about


@dataclasses.dataclass(frozen=True)
class Record:
    """One record of a shard; `data` is base64, `arrived_at` in epoch seconds."""

    sequence_number: str
    partition_key: str
    data: str
    arrived_at: float

    @property
    def sequence(self) -> int:
        """The sequence number as what it is compared as."""
        return int(self.sequence_number)

    @property
    def size_bytes(self) -> int:
        """What it adds to the payload of an invocation."""
        return len(self.data) + len(self.partition_key) + ENVELOPE_BYTES


@dataclasses.dataclass(frozen=True)
class Policy:
    """The parameters of one event source mapping, with AWS's defaults."""

    batch_size: int = 100
    window_s: float = 0
    parallelization: int = 1
    retries: int = INFINITE
    record_age_s: int = INFINITE
    bisect: bool = False
    report_failures: bool = False

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> "Policy":
        """From the mapping as GetEventSourceMapping answers it; CloudFormation may have left numbers as text."""

        def number(name: str, default: int) -> int:
            return int(mapping[name]) if mapping.get(name) not in (None, "") else default

        return cls(
            batch_size=number("BatchSize", 100),
            window_s=number("MaximumBatchingWindowInSeconds", 0),
            parallelization=number("ParallelizationFactor", 1),
            retries=number("MaximumRetryAttempts", INFINITE),
            record_age_s=number("MaximumRecordAgeInSeconds", INFINITE),
            bisect=str(mapping.get("BisectBatchOnFunctionError", False)).lower() == "true",
            report_failures="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
        )


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an invocation came back with. A throttled one never ran, and does not count as an attempt."""

    body: Any = None
    error: str | None = None
    throttled: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
    """A batch, or what is left of one, on its way: `failures` counts against the retries, `answer` is the last one."""

    records: Sequence[Record]
    failures: int = 0
    invocations: int = 0
    answer: Answer | None = None


def lane_of(partition_key: str, lanes: int) -> int:
    """Which of the concurrent batches of a shard a record belongs to: one partition key always to the same one."""
    return zlib.crc32(partition_key.encode()) % lanes


def completed(answer: Answer, records: Sequence[Record], policy: Policy) -> int:
    """How many leading records of the batch are done.

    With ReportBatchItemFailures: all of them for a null or empty answer or list; those before the lowest reported
    sequence number; none for an identifier that is empty, missing or not of the batch
    (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html).
    """
    if answer.error is not None or answer.throttled:
        return 0
    if not policy.report_failures or not answer.body:
        return len(records)
    if not isinstance(answer.body, dict):
        return 0
    failures = answer.body.get("batchItemFailures")
    if not failures:
        return len(records)
    positions = {record.sequence: index for index, record in enumerate(records)}
    return min(positions.get(_sequence(failure), 0) for failure in failures)


def _sequence(failure: object) -> int:
    """The reported sequence number; -1 when there is none to be read."""
    identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
    return int(identifier) if isinstance(identifier, str) and identifier.isdecimal() else -1
