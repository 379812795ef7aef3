"""Objects of one bucket by key: the little of S3 that compaction uses."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

_MISSING = frozenset({"NoSuchKey", "NotFound", "404"})
_EXISTS = frozenset({"PreconditionFailed", "412"})


class Store:
    """One bucket. Every other failure than the ones named is the client's own exception."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket

    def read(self, key: str) -> bytes | None:
        """The whole object, or None when there is none."""
        body = self.open(key)
        return None if body is None else bytes(body.read())

    def open(self, key: str) -> Any | None:
        """The object as a stream of bytes (botocore's StreamingBody), or None when there is none."""
        try:
            return self._s3.get_object(Bucket=self.bucket, Key=key)["Body"]
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise

    def write(self, key: str, body: bytes | BinaryIO) -> None:
        """Write an object, replacing what was there."""
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def write_once(self, key: str, body: bytes | BinaryIO) -> bool:
        """Write an object unless there is one; False when there was.

        Raises ClientError, of S3's 409 too: there two writers met, and it does not say that either has succeeded.
        """
        try:
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) in _EXISTS:
                return False
            raise
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys that begin with the prefix, in order."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            yield from (item["Key"] for item in page.get("Contents", ()))

    def folders(self, prefix: str) -> Iterator[str]:
        """The next path segments below the prefix, in order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            yield from (item["Prefix"][len(prefix) : -1] for item in page.get("CommonPrefixes", ()))


def error_code(error: ClientError) -> str:
    """The service's code of a failed call, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))
