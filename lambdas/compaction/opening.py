"""Opening an object that was planned: the one that was meant, or a failure that names it."""

from typing import Any

from botocore.exceptions import ClientError

from compaction.errors import ObjectArchived, ObjectChanged, ObjectMissing
from compaction.manifests import PlannedObject
from compaction.store import error_code


def open_planned(s3: Any, bucket: str, planned: PlannedObject, if_archived: str) -> Any:
    """S3's answer to reading the object: `Body` is a stream of its bytes, `LastModified` when it was written.

    Raises ObjectMissing or ObjectChanged for an object that is not as planned, ObjectArchived, which says what to do
    `if_archived`, for one that S3 does not read out.
    """
    place = f"s3://{bucket}/{planned.key}"
    try:
        return s3.get_object(Bucket=bucket, Key=planned.key, IfMatch=f'"{planned.etag}"')
    except ClientError as error:
        if error_code(error) in {"NoSuchKey", "404"}:
            raise ObjectMissing(f"{place} was planned but is gone. A new run plans what is there now.") from None
        if error_code(error) in {"PreconditionFailed", "412"}:
            raise ObjectChanged(
                f"{place} is not the object that was planned (entity tag {planned.etag}). "
                "Such an object is never edited: find out what wrote it, then start a new run."
            ) from None
        if error_code(error) == "InvalidObjectState":
            raise ObjectArchived(f"{place} is in Glacier. {if_archived}") from None
        raise
