"""Listing the archive page by page."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from compaction.archive import objects
from compaction.hours import Window, hour_prefix

HOUR = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Listing:
    """An S3 client that lists one object a page and counts the pages that are asked for."""

    def __init__(self, hours: list[datetime]) -> None:
        self.keys = [f"{hour_prefix(hour)}a.gz" for hour in sorted(hours)]
        self.pages = 0

    def get_paginator(self, _: str) -> "Listing":
        return self

    def paginate(self, *, Prefix: str, StartAfter: str = "", **_: object) -> Iterator[dict[str, Any]]:  # noqa: N803
        for key in self.keys:
            if key.startswith(Prefix) and key > StartAfter:
                self.pages += 1
                yield {"Contents": [{"Key": key, "Size": 1, "ETag": '"tag"'}]}
        yield {}  # S3 answers a last page without contents


def test_listing_begins_and_ends_with_the_hours_that_are_needed() -> None:
    listing = Listing([HOUR + timedelta(hours=number) for number in range(-50, 50)])

    found = list(objects(listing, "raw", Window(HOUR, HOUR + timedelta(hours=2))))

    assert [item.key for item in found] == [f"{hour_prefix(HOUR + timedelta(hours=number))}a.gz" for number in (0, 1)]
    assert found[0].etag == "tag"
    assert listing.pages == 3


def test_pages_are_fetched_as_objects_are_taken() -> None:
    listing = Listing([HOUR + timedelta(hours=number) for number in range(50)])

    next(objects(listing, "raw", Window(None, HOUR + timedelta(days=9))))

    assert listing.pages == 1
