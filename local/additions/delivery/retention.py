"""Expire stream records without copying the stream: MiniStack rebuilds every shard's list at each put."""

import time
from typing import Any

HOUR_S = 3600


def install() -> None:
    """Replace MiniStack's own expiry."""
    from ministack.services import kinesis

    kinesis._expire_records = expire


def expire(stream: dict[str, Any]) -> None:
    """Drop the records past the stream's retention; they are in order of arrival."""
    cutoff = time.time() - stream["RetentionPeriodHours"] * HOUR_S
    for shard in stream["shards"].values():
        records = shard["records"]
        if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
            shard["records"] = [record for record in records if record["ApproximateArrivalTimestamp"] >= cutoff]
