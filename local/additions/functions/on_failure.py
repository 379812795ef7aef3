"""The S3 on-failure destination of an event source mapping: the records Lambda gave up on, and why.

https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

import datetime
import json
import uuid
from typing import Any

from local.additions import services
from local.additions.functions.batches import Part, Record


def write(mapping: dict[str, Any], role_arn: str, shard_id: str, part: Part, condition: str, event: Any) -> None:
    """Write the invocation record. Raises RefusedError when the function's role or the bucket does not allow it."""
    destination = ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if not destination:
        return
    service, bucket = destination.split(":")[2], destination.rpartition(":")[2]
    if service != "s3":
        raise services.RefusedError(f"Of on-failure destinations only S3 is known here, not {destination}")
    now = datetime.datetime.now(datetime.UTC)
    key = object_key(mapping["UUID"], shard_id, now)
    document = invocation_record(mapping, shard_id, part, condition, event, now)
    session = mapping["FunctionName"]
    services.demand(role_arn, session, ("s3:PutObject", f"{destination}/{key}"), ("s3:ListBucket", destination))
    services.put_object(bucket, key, json.dumps(document).encode())


def object_key(mapping_id: str, shard_id: str, now: datetime.datetime) -> str:
    """`aws/lambda/<mapping>/<shard>/YYYY/MM/DD/YYYY-MM-DDTHH.MM.SS-<random UUID>`."""
    return f"aws/lambda/{mapping_id}/{shard_id}/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"


def invocation_record(
    mapping: dict[str, Any], shard_id: str, part: Part, condition: str, event: Any, now: datetime.datetime
) -> dict[str, Any]:
    """AWS's document; `payload`, for S3 destinations only, is the event as the function got it, as JSON in a string."""
    context = {
        "requestId": str(uuid.uuid4()),
        "functionArn": mapping["FunctionArn"],
        "condition": condition,
        "approximateInvokeCount": part.invocations,
    }
    record: dict[str, Any] = {"requestContext": context}
    if part.answer is not None:
        error = {"functionError": "Unhandled"} if part.answer.error is not None else {}
        record["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST"} | error
    return record | {
        "version": "1.0",
        "timestamp": _iso(now.timestamp()),
        "KinesisBatchInfo": {
            "shardId": shard_id,
            "startSequenceNumber": part.records[0].sequence_number,
            "endSequenceNumber": part.records[-1].sequence_number,
            "approximateArrivalOfFirstRecord": _arrival(part.records[0]),
            "approximateArrivalOfLastRecord": _arrival(part.records[-1]),
            "batchSize": len(part.records),
            "streamArn": mapping["EventSourceArn"],
        },
        "payload": json.dumps(event),
    }


def _arrival(record: Record) -> str:
    return _iso(record.arrived_at)


def _iso(moment: float) -> str:
    at = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
