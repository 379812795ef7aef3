"""Counting what the stores hold: every object once, every quarantined position once."""

import gzip
import hashlib
import io
import json
from typing import Any

import pytest

from local.demo import audit


class Bucket:
    """As much of an S3 client as the audit uses."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads = 0

    def put(self, key: str, *lines: bytes) -> None:
        self.objects[key] = gzip.compress(b"".join(line + b"\n" for line in lines))

    def get_paginator(self, _: str) -> "Bucket":
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:  # noqa: N803
        return [
            {"Contents": [{"Key": key, "ETag": hashlib.sha256(body).hexdigest(), "Size": len(body)}]}
            for key, body in self.objects.items()
            if key.startswith(Prefix)
        ]

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        self.reads += 1
        return {"Body": io.BytesIO(self.objects[Key])}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    fake = Bucket()
    monkeypatch.setattr(audit.boto3, "client", lambda _: fake)
    return fake


def line(position: str, reason: str = "not_json", source: str = "stream") -> bytes:
    return json.dumps({"position": position, "reason": reason, "source": source}).encode()


def test_an_archive_object_is_read_once_however_often_it_is_listed(bucket: Bucket) -> None:
    bucket.put("raw-data/a.gz", b"{}", b"{}")
    archive = audit.Archive("raw")
    archive.count()
    bucket.put("raw-data/b.gz", b"{}")

    assert (archive.count(), archive.objects, bucket.reads) == (3, 2, 2)


def test_what_could_not_be_delivered_is_counted_apart(bucket: Bucket) -> None:
    bucket.put("raw-data/a.gz", b"{}")
    bucket.put("errors/rule/x.json", b"{}")
    archive = audit.Archive("raw")

    assert (archive.count(), archive.errors()) == (1, 1)


def test_a_position_that_a_retry_wrote_again_counts_once(bucket: Bucket) -> None:
    bucket.put("quarantine/1.gz", line("shard-0:1"), line("shard-0:2"))
    bucket.put("quarantine/2.gz", line("shard-0:2"), line("shard-0:3", "bad_metric"))

    assert audit.Quarantine("processed", "stream").by_reason() == {"bad_metric": 1, "not_json": 2}


def test_an_object_that_was_written_anew_is_read_again(bucket: Bucket) -> None:
    bucket.put("quarantine/1.gz", line("shard-0:1"))
    quarantine = audit.Quarantine("processed", "stream")
    quarantine.count()
    bucket.put("quarantine/1.gz", line("shard-0:1"), line("shard-0:2"))

    assert quarantine.count() == 2


def test_only_the_asked_source_counts(bucket: Bucket) -> None:
    bucket.put("quarantine/1.gz", line("shard-0:1"), line("raw:a.gz:7", source="archive"))

    assert audit.Quarantine("processed", "stream").count() == 1
