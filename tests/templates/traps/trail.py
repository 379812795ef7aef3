"""Traps 2 and 34: an audit trail may write, sees what its insights need, and never records its own writing."""

from typing import Any

from tests.templates.traps.systems import Resource, System, grants, service, source
from tests.templates.walking import references

CLOUDTRAIL = service("cloudtrail")
CONTEXT = "kms:EncryptionContext:aws:cloudtrail:arn"
INSIGHTS = {"ApiCallRateInsight", "ApiErrorRateInsight"}


def faults_of_trail_access(system: System) -> set[str]:
    """Trap 2: key and bucket let CloudTrail work for this trail and no other, by a literal ARN, before the trail is
    there. `Decrypt` because of the bucket key."""
    faults = set()
    for trail in trails(system):
        arn = trail_arn(trail)
        files = {"aws:SourceArn": arn, CONTEXT: arn}
        of_key = {
            "kms:DescribeKey": {"aws:SourceArn": arn},
            "kms:GenerateDataKey": files,
            "kms:GenerateDataKeyWithoutPlaintext": files,
            "kms:Decrypt": files,
        }
        of_bucket = {
            "s3:GetBucketAcl": {"aws:SourceArn": arn},
            "s3:PutObject": {"aws:SourceArn": arn, "s3:x-amz-acl": "bucket-owner-full-control"},
        }
        key = source(system, trail.stack, trail.properties["KMSKeyId"])
        policies = _bucket_policies(system, trail)
        for needed, holders in ((of_key, [key] if key else []), (of_bucket, policies)):
            given = {action: conditions for holder in holders for action, conditions in granted(holder).items()}
            faults |= {f"{trail}: {action}" for action, wanted in needed.items() if given.get(action) != wanted}
        if not any(policy.title in trail.depends_on for policy in policies):
            faults.add(f"{trail}: may come before its bucket's policy")
        if key and trail.title in references(system.stacks[key.stack]):
            faults.add(f"{trail}: its key refers to it, a cycle")
    return faults


def faults_of_selectors(system: System) -> set[str]:
    """Trap 34: insights need the management events; what the trail and the access logs write must not be recorded."""
    faults = set()
    for trail in trails(system):
        own = [name for name in map(str, _log_sinks(system, trail)) if recorded(trail, **put_object(name))]
        faults |= {f"{trail}: records what {name} gets" for name in own}
        if recorded(trail, **put_object("RawBucketName-of-another-system")):
            faults.add(f"{trail}: records another system's bucket")
        for read_only in ("true", "false"):
            if not recorded(trail, eventCategory="Management", readOnly=read_only):
                faults.add(f"{trail}: misses management events with readOnly {read_only}")
        missing = INSIGHTS - {item["InsightType"] for item in trail.properties["InsightSelectors"]}
        faults |= {f"{trail}: no {insight}" for insight in missing}
    return faults


def trails(system: System) -> list[Resource]:
    """Every trail of the system."""
    return list(system.resources("AWS::CloudTrail::Trail"))


def trail_arn(trail: Resource) -> dict[str, str]:
    """The trail's ARN as text, from its name."""
    name = trail.properties["TrailName"]
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:cloudtrail:${{AWS::Region}}:${{AWS::AccountId}}:trail/{name}"}


def granted(policy: Resource) -> dict[str, dict[str, Any]]:
    """What CloudTrail may do by a resource's own policy, with the conditions."""
    return {grant.action: grant.conditions for grant in grants(policy) if grant.principal == CLOUDTRAIL}


def recorded(trail: Resource, **event: str) -> bool:
    """Whether one of the trail's selectors takes the event."""
    return any(_selects(selector, event) for selector in _plain(trail.properties["AdvancedEventSelectors"]))


def put_object(bucket: str, *, read_only: str = "false") -> dict[str, str]:
    """The data event of an object; a bucket is known by the reference that the trail's stack has to it."""
    arn = f"arn:aws:s3:::{bucket}/key"
    return {"eventCategory": "Data", "resources.type": "AWS::S3::Object", "resources.ARN": arn, "readOnly": read_only}


def _selects(selector: dict[str, Any], event: dict[str, str]) -> bool:
    """CloudTrail's rules: every field has to match one of its values."""
    return all(
        any(event[field["Field"]] == value for value in field.get("Equals", []))
        or any(event[field["Field"]].startswith(value) for value in field.get("StartsWith", []))
        for field in selector["FieldSelectors"]
    )


def _plain(value: Any) -> Any:
    """A template's value with its references as text, so that names can be compared."""
    if isinstance(value, dict) and "Fn::Sub" in value:
        pattern, values = value["Fn::Sub"]
        return pattern.replace("${AWS::Partition}", "aws").replace("${Bucket}", values["Bucket"]["Ref"])
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _bucket_policies(system: System, trail: Resource) -> list[Resource]:
    bucket = trail.properties["S3BucketName"]
    policies = system.resources("AWS::S3::BucketPolicy")
    return [policy for policy in policies if policy.stack == trail.stack and policy.properties["Bucket"] == bucket]


def _log_sinks(system: System, trail: Resource) -> list[str]:
    """The trail's bucket and that of its access logs, as the trail's stack refers to them."""
    bucket = trail.properties["S3BucketName"]["Ref"]
    logging = system.stacks[trail.stack].body["Resources"][bucket]["Properties"]["LoggingConfiguration"]
    return [bucket, logging["DestinationBucketName"]["Ref"]]
