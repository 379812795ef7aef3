"""The handler that most systems start with: an item and an S3 object a reading, `json`, and boto3's resource."""

import base64
import json
from decimal import Decimal
from typing import Any

import boto3
from botocore.config import Config


class PlainHandler:
    """Stores each record as it comes."""

    def __init__(self) -> None:
        self._table = boto3.resource("dynamodb").Table("readings")
        self._s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))

    def handle(self, event: dict[str, Any], _context: object) -> dict[str, Any]:
        """Process one Kinesis batch."""
        for record in event["Records"]:
            kinesis = record["kinesis"]
            data = base64.b64decode(kinesis["data"])
            self._table.put_item(Item=json.loads(data, parse_float=Decimal))
            self._s3.put_object(Bucket="raw", Key=f"raw-data/{kinesis['sequenceNumber']}.json", Body=data)
        return {"processed": len(event["Records"])}
