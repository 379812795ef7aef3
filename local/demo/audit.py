"""Counts what the stack holds, each store by itself: archive, hot table, quarantine, alerts."""

import contextlib
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import boto3


class Archive:
    """The raw bucket: one line a message. Objects are read once; the archive is never edited."""

    def __init__(self, bucket: str) -> None:
        self._s3 = boto3.client("s3")
        self._bucket = bucket
        self._seen: set[str] = set()
        self.lines = 0
        self.bytes = 0

    @property
    def objects(self) -> int:
        """Objects counted so far."""
        return len(self._seen)

    def count(self) -> int:
        """Lines of all objects there are now."""
        for item in _objects(self._s3, self._bucket, "raw-data/"):
            if item["Key"] not in self._seen:
                body = _read(self._s3, self._bucket, item["Key"])
                self._seen.add(item["Key"])
                self.lines += gzip.decompress(body).count(b"\n")
                self.bytes += item["Size"]
        return self.lines

    def errors(self) -> int:
        """Messages that a topic rule or the delivery could not pass on."""
        return sum(1 for _ in _objects(self._s3, self._bucket, "errors/"))


class Quarantine:
    """The rejected records that a source has set aside in the processed bucket.

    A retry may write a record again, so a position counts once; an object may be overwritten, so its version counts.
    """

    def __init__(self, bucket: str, source: str) -> None:
        self._s3 = boto3.client("s3")
        self._bucket = bucket
        self._source = source
        self._seen: set[tuple[str, str]] = set()
        self._reasons: dict[str, str] = {}

    def count(self) -> int:
        """Records set aside until now."""
        for item in _objects(self._s3, self._bucket, "quarantine/"):
            version = (item["Key"], item["ETag"])
            if version not in self._seen:
                self._seen.add(version)
                for line in gzip.decompress(_read(self._s3, self._bucket, item["Key"])).splitlines():
                    entry = json.loads(line)
                    if entry["source"] == self._source:
                        self._reasons[entry["position"]] = entry["reason"]
        return len(self._reasons)

    def by_reason(self) -> dict[str, int]:
        """Records set aside until now, by reason."""
        self.count()
        return dict(sorted(Counter(self._reasons.values()).items()))


class HotTable:
    """The DynamoDB table: one item a reading."""

    def __init__(self, table: str) -> None:
        self._dynamodb = boto3.client("dynamodb")
        self._table = table

    def estimate(self) -> int:
        """DynamoDB's own item count: costs nothing, hours old on AWS and current on the embedded AWS."""
        return int(self._dynamodb.describe_table(TableName=self._table)["Table"]["ItemCount"])

    def count(self) -> int:
        """Items there are now, by a consistent scan."""
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self._table, Select="COUNT", ConsistentRead=True
        )
        return sum(page["Count"] for page in pages)


class Alerts:
    """A queue that listens to the alerts topic from its creation on."""

    def __init__(self, topic_arn: str, queue_name: str) -> None:
        self._sqs = boto3.client("sqs")
        self._url = self._sqs.create_queue(QueueName=queue_name)["QueueUrl"]
        queue_arn = self._attribute("QueueArn")
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        self._sqs.set_queue_attributes(QueueUrl=self._url, Attributes={"Policy": policy})
        boto3.client("sns").subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
        )
        self._received: dict[str, Mapping[str, Any]] = {}

    def receive(self) -> list[Mapping[str, Any]]:
        """Every alert until now, once each however often it was delivered."""
        while messages := self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                alert = json.loads(message["Body"])
                if "alert_id" in alert:  # CloudWatch publishes its alarms to the same topic
                    self._received[alert["alert_id"]] = alert
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return list(self._received.values())

    def _attribute(self, name: str) -> str:
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return str(answer["Attributes"][name])


def _objects(s3: Any, bucket: str, prefix: str) -> Iterator[Any]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def _read(s3: Any, bucket: str, key: str) -> bytes:
    with contextlib.closing(s3.get_object(Bucket=bucket, Key=key)["Body"]) as body:
        return bytes(body.read())
