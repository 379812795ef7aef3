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
_UNMET = frozenset({"PreconditionFailed", "412"})


def s3_client(session: Any, **config: Any) -> Any:
    """S3 with a connection for each of the calls that `ahead` makes at once; `session` may be boto3 itself."""
    return session.client("s3", config=Config(max_pool_connections=WIDTH, **config))


class Listed(NamedTuple):
    """An object as a listing shows it."""

    key: str
    bytes: int
    written_at: datetime


class Version(NamedTuple):
    """An object as it is now, and the entity tag by which S3 tells it from a later one."""

    body: bytes
    etag: str


class Store:
    """One bucket. Every other failure than the ones named is the client's own exception."""

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket

    def read(self, key: str) -> bytes | None:
        """The whole object, or None when there is none."""
        body = self.open(key)
        return None if body is None else bytes(body.read())

    def version(self, key: str) -> Version | None:
        """The whole object as it is now, or None when there is none."""
        answer = self._get(key)
        return None if answer is None else Version(bytes(answer["Body"].read()), answer["ETag"])

    def open(self, key: str) -> Any | None:
        """The object as a stream of bytes (botocore's StreamingBody), or None when there is none."""
        answer = self._get(key)
        return None if answer is None else answer["Body"]

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
        return self._put_if(key, Body=body, Metadata=dict(metadata), IfNoneMatch="*")

    def write_after(self, version: Version | None, key: str, body: bytes) -> bool:
        """Write an object in the place of this version, or where there was none; False when it is not so any more.

        Raises ClientError as `write_once` does.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        """
        if version is None:
            return self._put_if(key, Body=body, IfNoneMatch="*")
        return self._put_if(key, Body=body, IfMatch=version.etag)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys that begin with the prefix, those after `after`, in order, page by page."""
        return (listed.key for listed in self.objects(prefix, after))

    def objects(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Objects whose keys begin with the prefix, those after `after`, in order of key, page by page."""
        request = {"Bucket": self.bucket, "Prefix": prefix, **({"StartAfter": after} if after else {})}
        for page in self._s3.get_paginator("list_objects_v2").paginate(**request):
            yield from (Listed(item["Key"], item["Size"], item["LastModified"]) for item in page.get("Contents", ()))

    def _get(self, key: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self._s3.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error_code(error) in _MISSING:
                return None
            raise
        return answer

    def _put_if(self, key: str, **request: Any) -> bool:
        """Write an object; False when its condition does not hold."""
        try:
            self._s3.put_object(Bucket=self.bucket, Key=key, **request)
        except ClientError as error:
            if error_code(error) in _UNMET | _MISSING:  # an object that is to be replaced is gone
                return False
            raise
        return True


def error_code(error: ClientError) -> str:
    """The service's code of a failed call, such as `NoSuchKey`."""
    return str(error.response.get("Error", {}).get("Code", ""))
