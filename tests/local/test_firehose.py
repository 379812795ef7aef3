"""Firehose's delivery: when an object is written, under which name, with what in it."""

import gzip
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from local.additions import services
from local.additions.delivery import firehose

NOON = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("processors", "expected"),
    [
        ([], b""),
        ([{"Type": "AppendDelimiterToRecord"}], b"\n"),
        (
            [
                {
                    "Type": "AppendDelimiterToRecord",
                    "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
                }
            ],
            b"\n",
        ),
        (
            [
                {
                    "Type": "AppendDelimiterToRecord",
                    "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "|"}],
                }
            ],
            b"|",
        ),
    ],
)
def test_the_delimiter_is_the_one_of_the_processor(processors: list[dict[str, Any]], expected: bytes) -> None:
    assert firehose.delimiter({"ProcessingConfiguration": {"Enabled": True, "Processors": processors}}) == expected
    assert firehose.delimiter({"ProcessingConfiguration": {"Enabled": False, "Processors": processors}}) == b""


def test_an_object_lies_under_the_arrival_time_of_its_oldest_record() -> None:
    config = {
        "Prefix": "raw-data/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/"
    }

    key = firehose.object_key({"name": "archive", "version": 2}, config, NOON.timestamp(), ".gz")

    assert re.fullmatch(
        r"raw-data/year=2026/month=11/day=21/hour=12/archive-2-2026-11-21-12-00-05-[0-9a-f-]{36}\.gz", key
    )


class Delivered:
    """A delivery stream with one destination, and what arrived in its bucket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, megabytes: int = 1, seconds: int = 300) -> None:
        self.objects: list[bytes] = []
        self.refusing = False
        monkeypatch.setattr(services, "demand", lambda *_: None)
        monkeypatch.setattr(services, "put_object", self._put)
        config = {
            "BucketARN": "arn:aws:s3:::archive",
            "RoleARN": "arn:aws:iam::000000000000:role/archive",
            "BufferingHints": {"SizeInMBs": megabytes, "IntervalInSeconds": seconds},
            "CompressionFormat": "GZIP",
        }
        arn = "arn:aws:firehose:eu-central-1:000000000000:deliverystream/archive"
        stream = {"name": "archive", "arn": arn, "type": "DirectPut", "version": 1}
        self.buffer = firehose.Buffer(stream, {"id": "1", "type": "ExtendedS3", "config": config})

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        if self.refusing:
            raise services.RefusedError("AccessDenied")
        self.objects.append(gzip.decompress(body))


def test_a_buffer_is_due_when_it_has_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = Delivered(monkeypatch).buffer
    buffer.add(bytes(1024 * 1024 - 1), 0.0)
    assert not buffer.is_due()

    buffer.add(b"x", 0.0)
    assert buffer.is_due()


def test_a_buffer_is_due_when_it_has_its_age(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = Delivered(monkeypatch, seconds=60).buffer
    buffer.add(b"x", 0.0)
    assert not buffer.is_due()

    buffer.opened_at -= 60
    assert buffer.is_due()


def test_a_delivery_that_is_refused_is_made_again_with_the_same_records(monkeypatch: pytest.MonkeyPatch) -> None:
    delivered = Delivered(monkeypatch, seconds=0)
    delivered.buffer.add(b"one", 0.0)
    delivered.refusing = True
    delivered.buffer.flush()
    assert not delivered.buffer.is_due(), "not at once"

    delivered.refusing = False
    delivered.buffer.add(b"two", 0.0)
    delivered.buffer.flush()

    assert delivered.objects == [b"onetwo"]
    assert delivered.buffer.records == []
