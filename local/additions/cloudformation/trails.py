"""Trails from CloudFormation: MiniStack has CloudTrail's API, but no such resource type, and no insight selectors.

A trail that could not write its files is refused at once, as on AWS: what the bucket's policy, the key's policy and the
role for the log group allow is asked when the trail is created and when it is changed.
"""

import json
from typing import Any

from local.additions.services import STATUS_ERROR, RefusedError, demand, demand_of_policy

TYPE = "AWS::CloudTrail::Trail"
SERVICE = "cloudtrail.amazonaws.com"
FIELDS = {
    "CloudWatchLogsLogGroupArn": "CloudWatchLogsLogGroupArn",
    "CloudWatchLogsRoleArn": "CloudWatchLogsRoleArn",
    "EnableLogFileValidation": "EnableLogFileValidation",
    "IncludeGlobalServiceEvents": "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail": "IsMultiRegionTrail",
    "KMSKeyId": "KmsKeyId",
    "S3BucketName": "S3BucketName",
}
"""Properties of the resource type, and what CloudTrail calls them."""

Properties = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Teach CloudFormation the resource type, and CloudTrail the insight selectors."""
    from ministack.services import cloudtrail
    from ministack.services.cloudformation import provisioners

    provisioners._RESOURCE_HANDLERS[TYPE] = {"create": create, "update": update, "delete": delete}
    provisioners._STACK_TAG_PROPERTY[TYPE] = ("Tags", "list")
    provisioners._REPLACING_PROPERTIES[TYPE] = ("TrailName",)
    cloudtrail._DISPATCH["PutInsightSelectors"] = _put_insight_selectors
    cloudtrail._DISPATCH["GetInsightSelectors"] = _get_insight_selectors


def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, Properties]:
    """The trail's name and attributes. Raises RefusedError."""
    name = properties.get("TrailName") or f"{stack_name}-{logical_id}"
    _demand_delivery(name, properties)
    _call("CreateTrail", {"Name": name, "S3BucketName": properties["S3BucketName"]})
    try:
        return name, _configure(name, {}, properties)
    except RefusedError:
        delete(name, properties)
        raise


def update(name: str, old: Properties, new: Properties, _stack_name: str) -> tuple[str, Properties]:
    """The same trail with other properties. Raises RefusedError."""
    _demand_delivery(name, new)
    return name, _configure(name, old, new)


def delete(name: str, _properties: Properties) -> None:
    """The trail ends; what it wrote stays. A trail that is gone already is fine."""
    from ministack.services import cloudtrail

    cloudtrail._delete_trail({"Name": name})
    cloudtrail._trail_tags.pop(cloudtrail._trail_arn(name), None)


def _configure(name: str, old: Properties, new: Properties) -> Properties:
    given = {field: new.get(property_name, "") for property_name, field in FIELDS.items()}
    arn: str = _call("UpdateTrail", {"Name": name, **given})["TrailARN"]
    kind = "EventSelectors" if "EventSelectors" in new else "AdvancedEventSelectors"
    if kind in new:
        _call("PutEventSelectors", {"TrailName": name, kind: new[kind]})
    _call("PutInsightSelectors", {"TrailName": name, "InsightSelectors": new.get("InsightSelectors", [])})
    if new["IsLogging"] != old.get("IsLogging"):
        _call("StartLogging" if new["IsLogging"] else "StopLogging", {"Name": name})
    _call("RemoveTags", {"ResourceId": arn, "TagsList": old.get("Tags", [])})
    _call("AddTags", {"ResourceId": arn, "TagsList": new.get("Tags", [])})
    return {"Arn": arn}


def _demand_delivery(name: str, properties: Properties) -> None:
    """Raise RefusedError unless CloudTrail may write the trail's files and log events."""
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import cloudtrail, kms, s3

    account, arn = get_account_id(), cloudtrail._trail_arn(name)
    bucket = f"arn:aws:s3:::{properties['S3BucketName']}"
    policy, _ = s3.bucket_policy_for_arn(bucket) or ("", account)
    source = {"aws:SourceArn": arn}
    demand_of_policy(policy, SERVICE, "s3:GetBucketAcl", bucket, source)
    for kind in ("CloudTrail", "CloudTrail-Digest", "CloudTrail-Insight"):
        files = f"{bucket}/AWSLogs/{account}/{kind}/{get_region()}/2026/01/01/file.json.gz"
        demand_of_policy(
            policy, SERVICE, "s3:PutObject", files, {**source, "s3:x-amz-acl": "bucket-owner-full-control"}
        )
    if key := properties.get("KMSKeyId"):
        key_policy, _ = kms.key_policy_for_arn(key) or ("", account)
        demand_of_policy(key_policy, SERVICE, "kms:DescribeKey", key, source)
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):  # the second because of the bucket key
            context = {**source, "kms:EncryptionContext:aws:cloudtrail:arn": arn}
            demand_of_policy(key_policy, SERVICE, action, key, context)
    if role := properties.get("CloudWatchLogsRoleArn"):
        group = properties["CloudWatchLogsLogGroupArn"].removesuffix(":*")
        stream = f"{group}:log-stream:{account}_CloudTrail_{get_region()}"
        demand(role, "trail", ("logs:CreateLogStream", stream), ("logs:PutLogEvents", stream))


def _put_insight_selectors(body: Properties) -> Answer:
    from ministack.services import cloudtrail

    _, _, trail, error = cloudtrail._find_mutable_trail(body["TrailName"])
    if not error:
        trail["InsightSelectors"] = body["InsightSelectors"]
        trail["HasInsightSelectors"] = bool(body["InsightSelectors"])
    answer: Answer = error or cloudtrail._ok(
        {"TrailARN": trail["TrailARN"], "InsightSelectors": body["InsightSelectors"]}
    )
    return answer


def _get_insight_selectors(body: Properties) -> Answer:
    from ministack.services import cloudtrail

    name, _, trail = cloudtrail._find_visible_trail(body["TrailName"])
    answer: Answer
    if trail is None:
        answer = cloudtrail._err("TrailNotFoundException", f"Unknown trail: {name}", 404)
    elif not trail["HasInsightSelectors"]:
        message = f"Trail {trail['TrailARN']} does not have Insights enabled."
        answer = cloudtrail._err("InsightNotEnabledException", message)
    else:
        answer = cloudtrail._ok({"TrailARN": trail["TrailARN"], "InsightSelectors": trail["InsightSelectors"]})
    return answer


def _call(action: str, body: Properties) -> Properties:
    """Ask CloudTrail. Raises RefusedError with its error."""
    from ministack.services import cloudtrail

    status, _, answer = cloudtrail._DISPATCH[action](body)
    content: Properties = json.loads(answer)
    if status >= STATUS_ERROR:
        raise RefusedError(f"{content['__type']}: {content['message']}")
    return content
