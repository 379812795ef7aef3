"""The stores of a deployed system as they were: a case begins where the one before it began."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import boto3

from tests.e2e.least_privilege.functions import Functions

KEPT = ("Body", "Metadata", "StorageClass")
TABLE_INPUT = ("Name", "TableType", "Parameters", "StorageDescriptor", "PartitionKeys")

T = TypeVar("T")


class Saved(NamedTuple):
    """Objects by bucket and key, with their tags, items of the hot table, and the lake's tables."""

    objects: dict[tuple[str, str], tuple[str, dict[str, Any]]]
    items: list[dict[str, Any]]
    tables: list[dict[str, Any]]


class Stores:
    """The stores of a system, by its outputs: small ones, whose content fits in memory."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self._buckets = (outputs["RawBucketName"], outputs["ProcessedBucketName"])
        self._database = outputs["LakeDatabaseName"]
        self._items = boto3.resource("dynamodb").Table(outputs["ReadingsTableName"])
        self._s3, self._glue = boto3.client("s3"), boto3.client("glue")

    def save(self) -> Saved:
        """What there is."""
        objects = {}
        for (bucket, key), tag in self._tags():
            found: dict[str, Any] = dict(self._s3.get_object(Bucket=bucket, Key=key))
            objects[bucket, key] = tag, {**found, "Body": found["Body"].read()}
        return Saved(objects, self._items.scan()["Items"], self._tables())

    def put_back(self, saved: Saved) -> None:
        """What there was, with nothing beside it."""
        now = dict(self._tags())
        for bucket, key in now.keys() - saved.objects.keys():
            self._s3.delete_object(Bucket=bucket, Key=key)
        for (bucket, key), (tag, found) in saved.objects.items():
            if now.get((bucket, key)) != tag:
                self._s3.put_object(Bucket=bucket, Key=key, **{name: found[name] for name in KEPT if name in found})
        for item in self._items.scan()["Items"]:
            if item not in saved.items:
                self._items.delete_item(
                    Key={name["AttributeName"]: item[name["AttributeName"]] for name in self._keys()}
                )
        for item in saved.items:
            self._items.put_item(Item=item)
        for table in self._tables():
            self._glue.delete_table(DatabaseName=self._database, Name=table["Name"])
        for table in saved.tables:
            known = {name: table[name] for name in TABLE_INPUT if name in table}
            self._glue.create_table(DatabaseName=self._database, TableInput=known)

    def _tags(self) -> Iterator[tuple[tuple[str, str], str]]:
        listing = self._s3.get_paginator("list_objects_v2")
        for bucket in self._buckets:
            for page in listing.paginate(Bucket=bucket):
                yield from (((bucket, item["Key"]), item["ETag"]) for item in page.get("Contents", []))

    def _keys(self) -> list[Any]:
        return list(self._items.key_schema)

    def _tables(self) -> list[dict[str, Any]]:
        return list(self._glue.get_tables(DatabaseName=self._database)["TableList"])  # type: ignore[arg-type]


class Steps:
    """Uses of single steps. What comes before a step is done once, and is there again for every case that follows."""

    def __init__(self, functions: Functions, stores: Stores) -> None:
        self._functions, self._stores = functions, stores
        self._kept: dict[Callable[[], Any], tuple[Any, Saved]] = {}

    def there(self, before: Callable[[], T]) -> T:
        """Do what comes before a step, or put the stores back to where that left them; what the step is given."""
        if before in self._kept:
            given: T
            given, saved = self._kept[before]
            self._functions.begin_anew()
            self._stores.put_back(saved)
            return given
        given = before()
        self._kept[before] = given, self._stores.save()
        return given

    def use(self, before: Callable[[], T], step: Callable[[T], str]) -> Callable[[object], Callable[[], str]]:
        """A use of the step, by what prepares it."""

        def prepare(_: object) -> Callable[[], str]:
            given = self.there(before)
            return lambda: step(given)

        return prepare
