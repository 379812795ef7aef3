"""Firehose to S3 as AWS delivers: buffered by size and time, delimited, compressed, one object a flush.

https://docs.aws.amazon.com/firehose/latest/dev/basic-deliver.html and s3-object-name.html. MiniStack writes one
uncompressed object for each record. What it evaluates (prefixes, Lambda processors) is used as it is, and so is its
delivery where dynamic partitioning or format conversion is on.
"""

import gzip
import logging
import threading
import time
import uuid
from typing import Any

from local.additions import services
from local.additions.delivery.firehose_source import Source, destinations

LOOK_S = 0.2  # between looks at sources and buffers
RETRY_S = 2.0  # after a delivery that failed; AWS retries too, for up to a day
MEGABYTE = 1024 * 1024
DEFAULT_HINTS = {"SizeInMBs": 5, "IntervalInSeconds": 300}

log = logging.getLogger("firehose_delivery")


class Buffer:
    """The records of one delivery stream that wait for their object."""

    def __init__(self, stream: dict[str, Any], destination: dict[str, Any]) -> None:
        self.stream = stream
        self.destination = destination
        self.source = Source(stream) if stream["type"] == "KinesisStreamAsSource" else None
        self.records: list[bytes] = []
        self.size_bytes = 0
        self.opened_at = 0.0
        self.oldest_arrival = 0.0
        self.not_before = 0.0

    def add(self, record: bytes, arrived_at: float) -> None:
        """Take one record."""
        if not self.records:
            self.opened_at, self.oldest_arrival = time.monotonic(), arrived_at
        self.records.append(record)
        self.size_bytes += len(record)

    def is_due(self) -> bool:
        """Whether the object is to be written now: the buffer has reached its size or its age."""
        now = time.monotonic()
        if not self.records or now < self.not_before:
            return False
        full = self.size_bytes >= int(self._hint("SizeInMBs")) * MEGABYTE
        return full or now - self.opened_at >= int(self._hint("IntervalInSeconds"))

    def flush(self) -> None:
        """Write one object; on a refusal keep the records for the next attempt."""
        from ministack.core.responses import request_scope

        if not self.records:
            return
        _, _, _, region, account, _ = self.stream["arn"].split(":", 5)
        try:
            with request_scope(account, region):
                write(self.stream, self.destination, self.records, self.oldest_arrival)
        except Exception:
            log.exception("Firehose %s could not deliver %d records", self.stream["name"], len(self.records))
            self.not_before = time.monotonic() + RETRY_S
            return
        self.records, self.size_bytes = [], 0

    def _hint(self, name: str) -> Any:
        return (self.destination["config"].get("BufferingHints") or DEFAULT_HINTS).get(name, DEFAULT_HINTS[name])


def write(stream: dict[str, Any], destination: dict[str, Any], records: list[bytes], oldest_arrival: float) -> None:
    """Deliver records as one object. Raises RefusedError when the role or the bucket does not allow it."""
    from ministack.services import firehose

    config = destination["config"]
    processed = firehose._apply_lambda_processors(stream, destination, list(enumerate(records)))
    if _is_enabled(config, "DynamicPartitioningConfiguration") or _is_enabled(
        config, "DataFormatConversionConfiguration"
    ):
        for _, record in processed:
            firehose._deliver_to_s3(stream, destination, record)
        return
    if not processed:
        return
    end = delimiter(config)
    body = b"".join(record + end for _, record in processed)
    gzipped = config.get("CompressionFormat") == "GZIP"
    bucket = firehose._s3_bucket_from_arn(config["BucketARN"])
    key = object_key(stream, config, oldest_arrival, ".gz" if gzipped else "")
    services.demand(config["RoleARN"], stream["name"], ("s3:PutObject", f"{config['BucketARN']}/{key}"))
    services.put_object(bucket, key, gzip.compress(body, mtime=0) if gzipped else body)


def object_key(stream: dict[str, Any], config: dict[str, Any], oldest_arrival: float, extension: str) -> str:
    """`<prefix><stream>-<version>-<time>-<uuid><extension>`; the prefix's time is the oldest record's arrival."""
    from ministack.services import firehose

    moment = time.gmtime(oldest_arrival)
    prefix = firehose._evaluate_prefix(config.get("Prefix", ""), moment)
    written = time.strftime("%Y-%m-%d-%H-%M-%S", moment)
    suffix = f"{stream['name']}-{stream.get('version', 1)}-{written}-{uuid.uuid4()}"
    return f"{prefix}{suffix}{config.get('FileExtension') or extension}"


def delimiter(config: dict[str, Any]) -> bytes:
    r"""What AppendDelimiterToRecord appends to each record; its parameter spells a newline as `\n`."""
    if not _is_enabled(config, "ProcessingConfiguration"):
        return b""
    for processor in config["ProcessingConfiguration"].get("Processors") or ():
        if processor.get("Type") == "AppendDelimiterToRecord":
            given = {item["ParameterName"]: item["ParameterValue"] for item in processor.get("Parameters") or ()}
            return str(given.get("Delimiter", "\\n")).encode().decode("unicode_escape").encode()
    return b""


def _is_enabled(config: dict[str, Any], section: str) -> bool:
    return str((config.get(section) or {}).get("Enabled", False)).lower() == "true"


class Delivery:
    """Reads the source streams, takes direct puts, and writes what is due, in a thread of its own."""

    def __init__(self) -> None:
        self._buffers: dict[int, Buffer] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="firehose", daemon=True)

    def start(self) -> None:
        """Deliver from now on."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Read what the sources still hold and write everything."""
        self._stopping.set()
        self._thread.join(timeout_s)
        with self._lock:
            self._look()
            for buffer in self._buffers.values():
                buffer.flush()

    def put(self, stream: dict[str, Any], destination: dict[str, Any], records: list[tuple[str, bytes]]) -> None:
        """Take records that were put on the delivery stream directly."""
        with self._lock:
            for _, record in records:
                self._buffer(stream, destination).add(record, time.time())

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                with self._lock:
                    self._look()
            except Exception:
                log.exception("Firehose delivery failed; trying again")

    def _look(self) -> None:
        """Read the sources, write what is due, forget the buffers of delivery streams that are gone."""
        current = {id(destination): self._buffer(stream, destination) for stream, destination in destinations()}
        for buffer in current.values():
            for record, arrived_at in buffer.source.records() if buffer.source else ():
                buffer.add(record, arrived_at)
                if buffer.is_due():
                    buffer.flush()
        for buffer in self._buffers.values():
            if buffer.is_due():
                buffer.flush()
        self._buffers = {key: buffer for key, buffer in self._buffers.items() if buffer.records or key in current}

    def _buffer(self, stream: dict[str, Any], destination: dict[str, Any]) -> Buffer:
        key = id(destination)  # the buffer holds on to it
        if key not in self._buffers:
            self._buffers[key] = Buffer(stream, destination)
        return self._buffers[key]


def install() -> Delivery:
    """Put the delivery in the place of MiniStack's; it runs when started."""
    from ministack.services import firehose

    delivery = Delivery()
    firehose._deliver_records_to_s3 = delivery.put
    firehose.ingest_from_kinesis_source = lambda *_: None  # the delivery reads the stream itself
    return delivery
