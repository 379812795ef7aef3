"""A Firehose delivery stream's own reading of its Kinesis source stream."""

import base64
import bisect
import logging
from collections.abc import Iterator
from typing import Any

from local.additions import services

READING = ("DescribeStream", "GetRecords", "GetShardIterator", "ListShards")

log = logging.getLogger("firehose_delivery")


def destinations() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every (delivery stream, S3 destination) that reads a Kinesis stream."""
    from ministack.services import firehose

    for _, stream in firehose._streams.all_items():
        if stream["type"] == "KinesisStreamAsSource" and stream["status"] == "ACTIVE":
            for destination in stream["destinations"]:
                if destination["type"] in ("ExtendedS3", "S3"):
                    yield stream, destination


class Source:
    """Where a delivery stream stands in its source. The position is kept in the stream, to be saved with it."""

    def __init__(self, stream: dict[str, Any]) -> None:
        self._stream = stream
        self._positions: dict[str, int] = stream.setdefault("positions", {})
        self._refusal = ""  # logged once, not at every look

    def records(self) -> Iterator[tuple[bytes, float]]:
        """The records since the last call, with their arrival in epoch seconds, shard by shard.

        Firehose begins with what arrived after the delivery stream was created.
        """
        from ministack.services import kinesis

        source = self._stream["kinesis_source"]
        account, region, name = _parts(source["KinesisStreamARN"])
        stream = kinesis._streams.get_scoped(account, region, name)
        if stream is None or not self._may_read(account, region):
            return
        for shard_id, shard in list(stream["shards"].items()):
            records, after = shard["records"], self._positions.get(shard_id, 0)
            start = bisect.bisect_right(records, after, key=lambda record: int(record["SequenceNumber"]))
            for record in records[start:]:
                self._positions[shard_id] = int(record["SequenceNumber"])
                if record["ApproximateArrivalTimestamp"] >= source["DeliveryStartTimestamp"]:
                    data = base64.b64decode(kinesis._ensure_base64(record["Data"]))
                    yield data, record["ApproximateArrivalTimestamp"]

    def _may_read(self, account: str, region: str) -> bool:
        from ministack.core.responses import request_scope

        source = self._stream["kinesis_source"]
        needed = [(f"kinesis:{action}", source["KinesisStreamARN"]) for action in READING]
        refusal = ""
        try:
            with request_scope(account, region):
                services.demand(source["RoleARN"], self._stream["name"], *needed)
        except services.RefusedError as error:
            refusal = str(error)
        if refusal and refusal != self._refusal:
            log.warning("Firehose %s cannot read its source: %s", self._stream["name"], refusal)
        self._refusal = refusal
        return not refusal


def _parts(stream_arn: str) -> tuple[str, str, str]:
    """Account, region and name of a stream."""
    _, _, _, region, account, resource = stream_arn.split(":", 5)
    return account, region, resource.removeprefix("stream/")
