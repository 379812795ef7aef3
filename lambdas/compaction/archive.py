"""The archive as compaction sees it: objects by arrival hour, listed page by page."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from compaction.hours import ARCHIVE_PREFIX, Window, hour_of, hour_prefix
from compaction.manifests import PlannedObject


class Listed(NamedTuple):
    """An object as a listing shows it; of one that S3 has restored, `copy_until` is when its copy will be gone."""

    key: str
    bytes: int
    etag: str
    storage_class: str
    copy_until: datetime | None = None


def objects(s3: Any, bucket: str, window: Window) -> Iterator[PlannedObject]:
    """The archive objects of the window's hours, as they are planned."""
    return (PlannedObject(item.key, item.bytes, item.etag) for item in listed(s3, bucket, window))


def listed(s3: Any, bucket: str, window: Window) -> Iterator[Listed]:
    """The archive objects of the window's hours, in order of key, which is the order of arrival hours."""
    start = hour_prefix(window.start) if window.start else ""
    found = between(s3, bucket, ARCHIVE_PREFIX, start, hour_prefix(window.end))
    return (item for item in found if hour_of(item.key) is not None)


def between(s3: Any, bucket: str, prefix: str, start: str, end: str) -> Iterator[Listed]:
    """The objects whose keys begin with the prefix, those after `start` and before `end`, in order of key.

    Listing begins and ends there; one page (1,000 keys) is held at a time. What it says of copies spares a request for
    each object:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreStatus.html
    """
    request = {"Bucket": bucket, "Prefix": prefix, "OptionalObjectAttributes": ["RestoreStatus"]}
    if start:
        request["StartAfter"] = start
    for page in s3.get_paginator("list_objects_v2").paginate(**request):
        for item in page.get("Contents", ()):
            if item["Key"] >= end:
                return
            yield _listed(item)


def _listed(item: dict[str, Any]) -> Listed:
    storage_class, restored = item.get("StorageClass", "STANDARD"), item.get("RestoreStatus", {})
    until = None if restored.get("IsRestoreInProgress") else restored.get("RestoreExpiryDate")
    return Listed(item["Key"], item["Size"], item["ETag"].strip('"'), storage_class, until)
