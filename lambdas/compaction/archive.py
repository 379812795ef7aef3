"""The archive as compaction sees it: objects by arrival hour, listed page by page."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from compaction.hours import ARCHIVE_PREFIX, Window, hour_of, hour_prefix
from compaction.manifests import PlannedObject


class Listed(NamedTuple):
    """An object as a listing shows it."""

    key: str
    bytes: int
    etag: str
    storage_class: str


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

    Listing begins and ends there; one page (1,000 keys) is held at a time.
    """
    request = {"Bucket": bucket, "Prefix": prefix, **({"StartAfter": start} if start else {})}
    for page in s3.get_paginator("list_objects_v2").paginate(**request):
        for item in page.get("Contents", ()):
            if item["Key"] >= end:
                return
            yield Listed(item["Key"], item["Size"], item["ETag"].strip('"'), item.get("StorageClass", "STANDARD"))
