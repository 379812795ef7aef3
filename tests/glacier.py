"""S3 in memory whose frozen objects can be restored, which takes its time, and how that can go wrong."""
# ruff: noqa: N803 - arguments have the names that the clients give them

from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.lake import Aws, Lake
from tests.memory_aws import Effects, MemoryGlue, MemoryS3, memory_catalog


class GlacierS3(MemoryS3):
    """A copy of a frozen object is there `takes` after it was asked for, by S3's clock (`now`).

    `requests` are the calls of RestoreObject; `refusals` are codes by key, answered once a call, the last for ever.
    """

    def __init__(self, effects: Effects) -> None:
        super().__init__(effects)
        self.takes = timedelta(hours=5)
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.refusals: dict[str, list[str]] = {}
        self.looked_at: list[str] = []
        self._copies: dict[str, tuple[datetime, datetime]] = {}

    def freeze(self, bucket: str, key: str, storage_class: str = "GLACIER", restore: str = "") -> None:
        super().freeze(bucket, key, storage_class, restore)
        self._copies.pop(key, None)

    def restore_object(self, *, Bucket: str, Key: str, RestoreRequest: dict[str, Any]) -> None:
        self.requests.append((Key, RestoreRequest))
        head = super().head_object(Bucket=Bucket, Key=Key)
        if codes := self.refusals.get(Key):
            raise _error(codes.pop(0) if len(codes) > 1 else codes[0], "RestoreObject")
        if "StorageClass" not in head:
            raise _error("ObjectAlreadyInActiveTierError", "RestoreObject")
        if self._in_progress(Key):
            raise _error("RestoreAlreadyInProgress", "RestoreObject")
        ready = self._copies[Key][0] if self._has_copy(Key) else self.now + self.takes
        self._copies[Key] = (ready, max(ready, self.now) + timedelta(days=RestoreRequest["Days"]))

    def head_object(self, *, Bucket: str, Key: str, IfMatch: str | None = None) -> dict[str, Any]:
        self.looked_at.append(Key)
        return super().head_object(Bucket=Bucket, Key=Key, IfMatch=IfMatch)

    def _restore(self, bucket: str, key: str) -> str:
        if self._in_progress(key):
            return 'ongoing-request="true"'
        if not self._has_copy(key):
            return ""
        return f'ongoing-request="false", expiry-date="{self._copies[key][1]:%a, %d %b %Y %H:%M:%S GMT}"'

    def _in_progress(self, key: str) -> bool:
        return key in self._copies and self.now < self._copies[key][0]

    def _has_copy(self, key: str) -> bool:
        return key in self._copies and self._copies[key][0] <= self.now < self._copies[key][1]


def glacier_lake() -> Lake:
    """A lake in memory whose objects can be frozen."""
    effects = Effects()
    s3, glue = GlacierS3(effects), MemoryGlue(effects)
    return Lake(aws=Aws(s3, glue, memory_catalog(glue, s3), lambda: s3.now))


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "by the test"}}, operation)
