"""Audit: the trail of who did what in the account, its bucket and its log group. Only where the settings ask for it.

A stack of its own after `storage`: its bucket logs to the bucket of access logs, and its data events name the data
buckets, both of which have to exist. The key's statements for the trail stand in `security`, with the ARN that follows
from the trail's name.
"""

from awacs import s3 as s3_actions
from awacs.aws import Allow, Condition, Principal, Statement, StringEquals
from troposphere import Ref, Template, cloudtrail, s3
from troposphere.iam import Role
from troposphere.logs import LogGroup

from config.settings import Settings
from templates.shared import iam
from templates.shared.buckets import data_bucket, expire, policy_title, tidy
from templates.shared.log_groups import log_group
from templates.shared.wiring import needs, offers

INSIGHTS = ("ApiCallRateInsight", "ApiErrorRateInsight")
"""The first analyses write-only management events, the second read or write ones: the trail records all of them
(https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_PutInsightSelectors.html)."""

DELIVERY = "bucket-owner-full-control"
"""The ACL that CloudTrail asks for with every object that it writes."""


def build(settings: Settings) -> Template:
    """Bucket, log group and trail."""
    template = Template("Audit trail")
    key_arn = needs(template, "KeyArn", "Key that encrypts what the trail writes")
    access_logs = needs(template, "AccessLogsBucketName", "Bucket of the S3 access logs")
    recorded = _recorded_buckets(template, settings)
    bucket = _trail_bucket(template, settings, key_arn, access_logs)
    name = settings.name(settings.audit.trail_name)
    group = template.add_resource(log_group("TrailLogs", settings, f"/aws/cloudtrail/{name}", key_arn))
    role = template.add_resource(_logs_role(f"/aws/cloudtrail/{name}"))
    trail = template.add_resource(_trail(settings, bucket, key_arn, group, role, _selectors(settings, recorded)))
    offers(template, TrailName=trail.ref(), TrailBucketName=bucket.ref())
    return template


def _recorded_buckets(template: Template, settings: Settings) -> list[Ref]:
    """The buckets whose data events are recorded, by their stack's outputs: no other bucket can be among them."""
    if settings.audit.data_events == "none":
        return []
    return [
        needs(template, "RawBucketName", "Bucket of the archive"),
        needs(template, "ProcessedBucketName", "Bucket of the Iceberg table and the runs"),
    ]


def _trail_bucket(template: Template, settings: Settings, key_arn: Ref, access_logs: Ref) -> s3.Bucket:
    audit = settings.audit
    return data_bucket(
        template,
        settings,
        "TrailBucket",
        audit.bucket_name,
        key_arn=key_arn,
        access_logs=access_logs,
        lifecycle=[tidy(audit.noncurrent_days), expire(audit.retention_days)],
        statements=_deliver(settings, Ref("TrailBucket")),
    )


def _deliver(settings: Settings, bucket: Ref) -> list[Statement]:
    """Nothing but this trail writes to the bucket
    (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html)."""
    this_trail = {"aws:SourceArn": iam.trail_arn(settings.name(settings.audit.trail_name))}
    cloudtrail_itself = Principal("Service", "cloudtrail.amazonaws.com")
    look = Statement(
        Sid="LookAtBucket",
        Effect=Allow,
        Principal=cloudtrail_itself,
        Action=[s3_actions.GetBucketAcl],
        Resource=[iam.bucket_arn(bucket)],
        Condition=Condition(StringEquals(this_trail)),
    )
    write = Statement(
        Sid="WriteTrail",
        Effect=Allow,
        Principal=cloudtrail_itself,
        Action=[s3_actions.PutObject],
        Resource=[iam.objects_arn(bucket, "AWSLogs/${AWS::AccountId}/*")],
        Condition=Condition(StringEquals({**this_trail, "s3:x-amz-acl": DELIVERY})),
    )
    return [look, write]


def _logs_role(group_name: str) -> Role:
    """CloudTrail passes no source when it takes this role, so that its trust can carry no condition
    (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-required-policy-for-cloudwatch-logs.html)."""
    streams = "log-stream:${AWS::AccountId}_CloudTrail_${AWS::Region}*"
    own_streams = iam.arn("logs", f"log-group:{group_name}:{streams}")
    return iam.role("TrailLogsRole", "cloudtrail.amazonaws.com", [iam.write_logs(own_streams)])


def _trail(
    settings: Settings,
    bucket: s3.Bucket,
    key_arn: Ref,
    group: LogGroup,
    role: Role,
    selectors: list[cloudtrail.AdvancedEventSelector],
) -> cloudtrail.Trail:
    return cloudtrail.Trail(
        "AuditTrail",
        TrailName=settings.name(settings.audit.trail_name),
        IsLogging=True,
        S3BucketName=bucket.ref(),
        KMSKeyId=key_arn,
        EnableLogFileValidation=True,
        IncludeGlobalServiceEvents=True,
        IsMultiRegionTrail=settings.audit.multi_region,
        CloudWatchLogsLogGroupArn=group.get_att("Arn"),
        CloudWatchLogsRoleArn=role.get_att("Arn"),
        AdvancedEventSelectors=selectors,
        InsightSelectors=[cloudtrail.InsightSelector(InsightType=insight) for insight in INSIGHTS],
        DependsOn=policy_title(bucket.title),  # CloudTrail tries to write when the trail is created
    )


def _selectors(settings: Settings, buckets: list[Ref]) -> list[cloudtrail.AdvancedEventSelector]:
    """All management events; of objects only those of the given buckets. What the trail and the access logs write is in
    none of them, so that no event makes the next."""
    management = cloudtrail.AdvancedEventSelector(
        Name="Management", FieldSelectors=[_equals("eventCategory", "Management")]
    )
    if not buckets:
        return [management]
    # with the slash, or a bucket whose name only begins alike would be recorded as well
    objects = cloudtrail.AdvancedFieldSelector(
        Field="resources.ARN", StartsWith=[iam.objects_arn(bucket, "") for bucket in buckets]
    )
    only_writes = [_equals("readOnly", "false")] if settings.audit.data_events == "write" else []
    data = cloudtrail.AdvancedEventSelector(
        Name="Objects",
        FieldSelectors=[
            _equals("eventCategory", "Data"),
            _equals("resources.type", "AWS::S3::Object"),
            objects,
            *only_writes,
        ],
    )
    return [management, data]


def _equals(field: str, value: str) -> cloudtrail.AdvancedFieldSelector:
    return cloudtrail.AdvancedFieldSelector(Field=field, Equals=[value])
