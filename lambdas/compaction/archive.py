"""The archive as compaction sees it: objects by arrival hour, listed page by page."""

from collections.abc import Iterator
from typing import Any

from compaction.hours import ARCHIVE_PREFIX, Window, hour_of, hour_prefix
from compaction.manifests import PlannedObject


def objects(s3: Any, bucket: str, window: Window) -> Iterator[PlannedObject]:
    """The archive objects of the window's hours, in order of key, which is the order of arrival hours.

    Listing starts at the first hour asked for and ends after the last; one page (1,000 keys) is held at a time.
    """
    request = {"Bucket": bucket, "Prefix": ARCHIVE_PREFIX}
    if window.start:
        request["StartAfter"] = hour_prefix(window.start)
    end = hour_prefix(window.end)
    for page in s3.get_paginator("list_objects_v2").paginate(**request):
        for item in page.get("Contents", ()):
            if item["Key"] >= end:
                return
            if hour_of(item["Key"]) is not None:
                yield PlannedObject(item["Key"], item["Size"], item["ETag"].strip('"'))
