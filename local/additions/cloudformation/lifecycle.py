"""Lifecycles of buckets from CloudFormation, which MiniStack leaves out: kept and told, and never acted upon."""

import functools
from typing import Any

from botocore import session
from botocore.serialize import create_serializer

PROPERTY = "LifecycleConfiguration"
SAME = ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration", "Status")
"""Parts of a rule that CloudFormation and S3 write alike."""

Properties = dict[str, Any]


def install() -> None:
    """Let a bucket's property reach S3, as CORS and the public-access block do."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    configuration = (PROPERTY, to_xml, s3._put_bucket_lifecycle, s3._delete_bucket_lifecycle)
    provisioners._S3_BUCKET_CONFIGURATIONS = (*provisioners._S3_BUCKET_CONFIGURATIONS, configuration)


def to_xml(configuration: Properties) -> bytes:
    """The property as the body of `PutBucketLifecycleConfiguration`."""
    operation = _s3_model().operation_model("PutBucketLifecycleConfiguration")
    rules = {"Rules": [_rule(rule) for rule in configuration["Rules"]]}
    request = create_serializer("rest-xml").serialize_to_request({"Bucket": "any", PROPERTY: rules}, operation)
    body: bytes = request["body"]
    return body


@functools.cache
def _s3_model() -> Any:
    return session.get_session().get_service_model("s3")


def _rule(rule: Properties) -> Properties:
    """A rule in S3's words
    (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-rule.html)."""
    told: Properties = {"ID": rule["Id"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    told |= {field: rule[field] for field in SAME if field in rule}
    if "ExpirationInDays" in rule:
        told["Expiration"] = {"Days": rule["ExpirationInDays"]}
    elif "ExpiredObjectDeleteMarker" in rule:
        told["Expiration"] = {"ExpiredObjectDeleteMarker": rule["ExpiredObjectDeleteMarker"]}
    if "Transitions" in rule:
        told["Transitions"] = [
            {"Days": move["TransitionInDays"], "StorageClass": move["StorageClass"]} for move in rule["Transitions"]
        ]
    return told
