"""Objects of one bucket by key: the little of S3 that compaction uses."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from botocore.config import Config
from botocore.exceptions import ClientError

from compaction.ahead import WIDTH

_MISSING = frozenset({"NoSuchKey", "NotFound", "404"})
_LINES_BYTES = 256 * 1024  # read at once: a task of a plan is a line of about 100 KB
_EXISTS = frozenset({"PreconditionFailed", "412"})


def s3_client(session: Any, **config: Any) -> Any:
    """S3 with a connection for each of the calls that `ahead` makes at once; `session` may be boto3 itself."""
    return session.client("s3", config=Config(max_pool_connections=WIDTH, **config))


class Listed(NamedTuple):
    """An object as a listing shows it."""

    key: str
    bytes: int
    written_at: datetime


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

    def lines(self, key: str) -> Iterator[bytes] | None:
        """The object's lines, read as they are taken, or None when there is none."""
        body = self.open(key)
        return None if body is None else (line for line in body.iter_lines(_LINES_BYTES) if line)

    def write(self, key: str, body: bytes | BinaryIO) -> None:
        """Write an object, replacing what was there."""
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def write_file(self, key: str, path: Path) -> None:
        """Write what a file of the disk holds."""
        with path.open("rb") as file:
            self.write(key, file)

    def copy(self, source: str, target: str) -> bool:
        """Copy an object within the bucket, replacing what was there; False when there is none to be copied."""
        try:
            self._s3.copy_object(Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": source})
        except ClientError as error:
            if error_code(error) in _MISSING:
                return False
            raise
        return True

    def delete(self, key: str) -> None:
        """Delete an object; nothing, when there is none."""
        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def metadata(self, key: str) -> dict[str, str] | None:
        """The metadata that an object was written with, or None when there is no object."""
        try:
            return dict(self._s3.head_object(Bucket=self.bucket, Key=key)["Metadata"])
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise

    def written_at(self, key: str) -> datetime:
        """When an object was written. Raises ClientError when there is no object."""
        written: datetime = self._s3.head_object(Bucket=self.bucket, Key=key)["LastModified"]
        return written

    def write_once(self, key: str, body: bytes | BinaryIO, metadata: Mapping[str, str]) -> bool:
        """Write an object and its metadata unless there is one; False when there was.

        Raises ClientError, of S3's 409 too: there two writers met, and it does not say that either has succeeded.
        """
        try:
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata=dict(metadata), IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) in _EXISTS:
                return False
            raise
        return True

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys that begin with the prefix, those after `after`, in order, page by page."""
        return (listed.key for listed in self.objects(prefix, after))

    def objects(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Objects whose keys begin with the prefix, those after `after`, in order of key, page by page."""
        request = {"Bucket": self.bucket, "Prefix": prefix, **({"StartAfter": after} if after else {})}
        for page in self._s3.get_paginator("list_objects_v2").paginate(**request):
            yield from (Listed(item["Key"], item["Size"], item["LastModified"]) for item in page.get("Contents", ()))


def error_code(error: ClientError) -> str:
    """The service's code of a failed call, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))
