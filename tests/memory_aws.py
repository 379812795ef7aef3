"""S3, Glue and others in memory, as much of the clients as our steps use, with a place to make any side effect fail.

Milliseconds where the embedded AWS takes seconds: for tests that run the compaction hundreds of times.
"""
# ruff: noqa: N803 - arguments have the names that the clients give them

import copy
import hashlib
import io
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, NamedTuple

import pyarrow as pa
from botocore.exceptions import ClientError, HTTPClientError
from botocore.response import StreamingBody
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.io import FileIO, InputFile, OutputFile

_MOST_DELETED = 1000  # keys of one request
_PAGE = 3  # keys of a listing's page: even a small archive has several

Effect = Callable[[], Any]


class Effects:
    """Every side effect in order, by what it does; `fault(name, effect)`, when set, is called instead of the effect."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fault: Callable[[int, Effect], Any] | None = None

    def make(self, name: str, effect: Effect) -> Any:
        """Have an effect, or what the fault makes of it."""
        number = len(self.names)
        self.names.append(name)
        return effect() if self.fault is None else self.fault(number, effect)


class Stored(NamedTuple):
    """An object of a bucket."""

    body: bytes
    metadata: dict[str, str]
    written_at: datetime
    storage_class: str = "STANDARD"
    restore: str = ""

    @property
    def etag(self) -> str:
        """Its entity tag, in quotes, as S3 has it."""
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class MemoryS3:
    """Buckets of objects; strongly consistent, conditional writes, listings in order of key, as S3 is.

    `now` is its clock, which stands still until a test moves it; objects whose keys are `locked` are not deleted. A
    page of a listing has `page` keys.
    """

    def __init__(self, effects: Effects) -> None:
        self.effects = effects
        self.buckets: dict[str, dict[str, Stored]] = {}
        self.now = datetime(2026, 11, 21, 10, tzinfo=UTC)
        self.locked: set[str] = set()
        self.page = _PAGE
        self._lock = threading.Lock()

    def create_bucket(self, *, Bucket: str, **_: object) -> None:
        self.buckets[Bucket] = {}

    def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: Any,
        Metadata: Any = None,
        IfNoneMatch: str | None = None,
        IfMatch: str | None = None,
    ) -> dict[str, Any]:
        stored = Stored(Body if isinstance(Body, bytes) else bytes(Body.read()), dict(Metadata or {}), self.now)

        def put() -> dict[str, Any]:
            with self._lock:
                held = self.buckets[Bucket].get(Key)
                if IfMatch and held is None:
                    raise _error("NoSuchKey", "PutObject")
                if held is not None and (IfNoneMatch or IfMatch not in {None, held.etag}):
                    raise _error("PreconditionFailed", "PutObject")
                self.buckets[Bucket][Key] = stored
            return {"ETag": stored.etag}

        answer: dict[str, Any] = self.effects.make(f"put {Key}", put)
        return answer

    def copy_object(self, *, Bucket: str, Key: str, CopySource: dict[str, str]) -> None:
        copied = self.buckets[CopySource["Bucket"]].get(CopySource["Key"])
        if copied is None:
            raise _error("NoSuchKey", "CopyObject")
        self.put_object(Bucket=Bucket, Key=Key, Body=copied.body, Metadata=copied.metadata)

    def freeze(self, bucket: str, key: str, storage_class: str = "GLACIER", restore: str = "") -> None:
        """Have the lifecycle move an object; `restore` is what S3 then says of a copy of it."""
        self.buckets[bucket][key] = self.buckets[bucket][key]._replace(storage_class=storage_class, restore=restore)

    def restore_object(self, *, Bucket: str, Key: str, RestoreRequest: dict[str, Any]) -> None:
        """Begin to make a copy of a frozen object, which never ends by itself."""
        storage_class = self.buckets[Bucket][Key].storage_class
        ongoing = 'ongoing-request="true"'
        self.effects.make(f"restore {Key}", lambda: self.freeze(Bucket, Key, storage_class, ongoing))

    def _restore(self, bucket: str, key: str) -> str:
        """What HeadObject says of a copy, in its words; nothing when there is none."""
        return self.buckets[bucket][key].restore

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        self.effects.make(f"delete {Key}", lambda: self.buckets[Bucket].pop(Key, None))

    def delete_objects(self, *, Bucket: str, Delete: Any) -> dict[str, Any]:
        keys = [wanted["Key"] for wanted in Delete["Objects"]]
        if not 1 <= len(keys) <= _MOST_DELETED or not Delete.get("Quiet"):
            raise _error("MalformedXML", "DeleteObjects")

        def delete() -> dict[str, Any]:
            with self._lock:
                for key in keys:
                    if key not in self.locked:
                        self.buckets[Bucket].pop(key, None)
            refused = [{"Key": key, "Code": "InternalError"} for key in keys if key in self.locked]
            return {"Errors": refused} if refused else {}

        answer: dict[str, Any] = self.effects.make(f"delete {len(keys)} from {keys[0]}", delete)
        return answer

    def head_object(self, *, Bucket: str, Key: str, IfMatch: str | None = None) -> dict[str, Any]:
        stored = self.buckets[Bucket].get(Key)
        if stored is None:
            raise _error("NoSuchKey", "GetObject")
        if IfMatch is not None and IfMatch.strip('"') != stored.etag.strip('"'):
            raise _error("PreconditionFailed", "GetObject")
        restore = self._restore(Bucket, Key)
        return {
            "ETag": stored.etag,
            "Metadata": stored.metadata,
            "ContentLength": len(stored.body),
            "LastModified": stored.written_at,
            **({"StorageClass": stored.storage_class} if stored.storage_class != "STANDARD" else {}),
            **({"Restore": restore} if restore else {}),
        }

    def get_object(
        self, *, Bucket: str, Key: str, IfMatch: str | None = None, Range: str | None = None
    ) -> dict[str, Any]:
        head = self.head_object(Bucket=Bucket, Key=Key, IfMatch=IfMatch)
        body = self.buckets[Bucket][Key].body
        if head.get("StorageClass") in {"GLACIER", "DEEP_ARCHIVE"} and "expiry-date" not in head.get("Restore", ""):
            raise _error("InvalidObjectState", "GetObject")
        if Range is not None:
            first, last = (int(place) for place in Range.removeprefix("bytes=").split("-"))
            if first >= len(body):
                raise _error("InvalidRange", "GetObject")
            size, body = len(body), body[first : last + 1]
            head["ContentRange"] = f"bytes {first}-{first + len(body) - 1}/{size}"
        return head | {"ContentLength": len(body), "Body": StreamingBody(io.BytesIO(body), len(body))}

    def get_paginator(self, operation: str) -> SimpleNamespace:
        assert operation == "list_objects_v2"
        return SimpleNamespace(paginate=self._pages)

    def _pages(
        self, *, Bucket: str, Prefix: str = "", StartAfter: str = "", OptionalObjectAttributes: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        objects = self.buckets[Bucket]
        keys = iter(sorted(key for key in tuple(objects) if key.startswith(Prefix) and key > StartAfter))
        while page := list(itertools.islice(keys, self.page)):
            yield {"Contents": [self._listed(Bucket, key, OptionalObjectAttributes) for key in page]}
        yield {}

    def _listed(self, bucket: str, key: str, optional: Sequence[str]) -> dict[str, Any]:
        """What a listing says of an object: of its copy, if there is one, when that is asked for."""
        stored = self.buckets[bucket][key]
        item = {
            "Key": key,
            "Size": len(stored.body),
            "ETag": stored.etag,
            "LastModified": stored.written_at,
            "StorageClass": stored.storage_class,
        }
        return item | (_restore_status(self._restore(bucket, key)) if "RestoreStatus" in optional else {})


class MemoryGlue:
    """Tables of one database; an update is refused unless it names the version that it replaces."""

    class exceptions:  # noqa: N801 - the client's name
        """Errors by the names that the client gives them."""

        EntityNotFoundException = type("EntityNotFoundException", (ClientError,), {})
        AlreadyExistsException = type("AlreadyExistsException", (ClientError,), {})
        ConcurrentModificationException = type("ConcurrentModificationException", (ClientError,), {})

    def __init__(self, effects: Effects) -> None:
        self.effects = effects
        self.tables: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def create_database(self, **_: object) -> None:
        """There is one anyway."""

    def get_database(self, *, Name: str) -> dict[str, Any]:
        return {"Database": {"Name": Name}}

    def get_table(self, *, DatabaseName: str, Name: str) -> dict[str, Any]:
        if Name not in self.tables:
            raise self._refused("EntityNotFoundException")
        return {"Table": copy.deepcopy(self.tables[Name]) | {"DatabaseName": DatabaseName}}  # callers write into it

    def create_table(self, *, DatabaseName: str, TableInput: Any) -> None:
        def create() -> None:
            with self._lock:
                if TableInput["Name"] in self.tables:
                    raise self._refused("AlreadyExistsException")
                self.tables[TableInput["Name"]] = copy.deepcopy(TableInput) | {"VersionId": "0"}

        self.effects.make("create table", create)

    def update_table(
        self,
        *,
        DatabaseName: str,
        TableInput: Any,
        VersionId: str,
        SkipArchive: bool,
    ) -> None:
        def update() -> None:
            with self._lock:
                if self.tables[TableInput["Name"]]["VersionId"] != VersionId:
                    raise self._refused("ConcurrentModificationException")
                self.tables[TableInput["Name"]] = copy.deepcopy(TableInput) | {"VersionId": str(int(VersionId) + 1)}

        self.effects.make("update table", update)

    def _refused(self, name: str) -> ClientError:
        refused: ClientError = getattr(self.exceptions, name)({"Error": {"Code": name}}, "Glue")
        return refused


class MemoryStates:
    """Executions of one state machine, by name, with the status that a test gives them; None: there is none."""

    class exceptions:  # noqa: N801 - the client's name
        """Errors by the names that the client gives them."""

        ExecutionDoesNotExist = type("ExecutionDoesNotExist", (ClientError,), {})

    def __init__(self) -> None:
        self._status: dict[str, str | None] = {}

    def start(self, name: str) -> str:
        """Have an execution run, unless it is there already, and answer its ARN."""
        self._status.setdefault(name, "RUNNING")
        return f"arn:aws:states:eu-central-1:000000000000:execution:reprocess:{name}"

    def set(self, name: str, status: str | None) -> None:
        """From now on it has this status."""
        self._status[name] = status

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:
        status = self._status.get(executionArn.rpartition(":")[2])
        if status is None:
            raise self.exceptions.ExecutionDoesNotExist({"Error": {"Code": "ExecutionDoesNotExist"}}, "Describe")
        return {"executionArn": executionArn, "status": status}


class MemorySns:
    """A topic: the messages that were published, read."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects
        self.messages: list[dict[str, Any]] = []

    def publish_batch(self, *, TopicArn: str, PublishBatchRequestEntries: list[dict[str, Any]]) -> dict[str, Any]:
        messages = [json.loads(entry["Message"]) for entry in PublishBatchRequestEntries]
        self.effects.make(f"publish to {TopicArn}", lambda: self.messages.extend(messages))
        return {}


class MemoryIO(FileIO):
    """PyIceberg's files on the S3 in memory; like the committing function, it may delete nothing."""

    s3: MemoryS3

    def new_input(self, location: str) -> "MemoryFile":
        return MemoryFile(location, self.properties["memory.s3"])

    def new_output(self, location: str) -> "MemoryFile":
        return MemoryFile(location, self.properties["memory.s3"])

    def delete(self, location: str | InputFile | OutputFile) -> None:
        raise PermissionError(f"not authorized to perform: s3:DeleteObject on {location}")


class MemoryFile(InputFile, OutputFile):
    """One object as PyIceberg reads and writes it."""

    def __init__(self, location: str, s3: MemoryS3) -> None:
        super().__init__(location)
        self._s3 = s3
        self._bucket, _, self._key = location.removeprefix("s3://").partition("/")

    def __len__(self) -> int:
        return len(self._s3.buckets[self._bucket][self._key].body)

    def exists(self) -> bool:
        return self._key in self._s3.buckets[self._bucket]

    def open(self, seekable: bool = True) -> Any:
        if not self.exists():
            raise FileNotFoundError(self.location)
        return pa.BufferReader(self._s3.buckets[self._bucket][self._key].body)

    def create(self, overwrite: bool = False) -> Any:
        return _Writing(self)

    def to_input_file(self) -> InputFile:
        return self

    def put(self, body: bytes) -> None:
        """Write the object; what goes wrong on the way is an OSError, as with PyArrow's files."""
        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._key, Body=body)
        except HTTPClientError as error:
            raise OSError(str(error)) from error


class _Writing(io.BytesIO):
    """An object that is there once it is closed, unless what writes it has failed."""

    def __init__(self, file: MemoryFile) -> None:
        super().__init__()
        self._file = file

    def __exit__(self, kind: Any, *rest: object) -> None:
        if kind is None:
            self.close()

    def close(self) -> None:
        if not self.closed:
            body = self.getvalue()
            super().close()
            self._file.put(body)


def memory_catalog(glue: MemoryGlue, s3: MemoryS3) -> GlueCatalog:
    """PyIceberg's Glue catalog on the two."""
    where: Any = {"py-io-impl": f"{__name__}.MemoryIO", "memory.s3": s3}
    return GlueCatalog("memory", client=glue, **where)


def _restore_status(header: str) -> dict[str, Any]:
    """What a listing says where HeadObject has this header, `x-amz-restore`."""
    if not header:
        return {}
    status: dict[str, Any] = {"IsRestoreInProgress": header.startswith('ongoing-request="true"')}
    if "expiry-date" in header:
        status["RestoreExpiryDate"] = parsedate_to_datetime(header.split('"')[3]).replace(tzinfo=UTC)
    return {"RestoreStatus": status}


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, operation)
