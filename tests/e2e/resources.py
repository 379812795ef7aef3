"""Small resources made directly through the API, for tests that need no stack."""

import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import boto3


def role(name: str, service: str, *statements: tuple[str, str]) -> str:
    """A role that `service` may assume, with (action, resource) pairs allowed; its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
    iam = boto3.client("iam")
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"][
        "Arn"
    ]
    iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=json.dumps({"Statement": allowed}))
    return arn


def bucket(name: str) -> str:
    """An empty bucket; its ARN."""
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name})
    return f"arn:aws:s3:::{name}"


def stream(name: str, shards: int = 1) -> str:
    """An active stream; its ARN."""
    kinesis = boto3.client("kinesis")
    kinesis.create_stream(StreamName=name, ShardCount=shards)
    summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return str(summary["StreamARN"])


def layer(name: str, files: dict[str, str]) -> str:
    """A version of a layer with these files; its ARN."""
    content = {"ZipFile": _zipped(files)}
    return str(boto3.client("lambda").publish_layer_version(LayerName=name, Content=content)["LayerVersionArn"])


def function(name: str, role_arn: str, source: str, *layers: str) -> None:
    """A function from a zip with one module; its handler is `handle`."""
    boto3.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role_arn,
        Handler="handler.handle",
        Code={"ZipFile": _zipped({"handler.py": source})},
        Layers=layers,
        Timeout=30,
    )


def _zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return content.getvalue()


def objects(bucket_name: str, prefix: str = "", s3: Any = None) -> dict[str, bytes]:
    """The bucket's objects by key, unzipped where the key says so."""
    s3 = s3 or boto3.client("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket_name, Prefix=prefix).get("Contents", ())]
    bodies = {key: s3.get_object(Bucket=bucket_name, Key=key)["Body"].read() for key in keys}
    return {key: gzip.decompress(body) if key.endswith(".gz") else body for key, body in bodies.items()}


def eventually(ask: Callable[[], Any], timeout_s: float = 30) -> Any:
    """Ask until the answer is true; the last answer."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer
