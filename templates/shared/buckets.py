"""Buckets: private, versioned, encrypted, logged and tidied, with the policies that go with them."""

from collections.abc import Iterable
from typing import Any

from awacs import s3 as s3_actions
from awacs.aws import Allow, ArnLike, Condition, Principal, Statement, StringEquals
from troposphere import AccountId, Ref, Retain, RetainExceptOnCreate, Template, s3

from config.settings import Settings
from templates.shared import iam
from templates.shared.naming import bucket_name
from templates.shared.suppressions import suppress

INCOMPLETE_UPLOAD_DAYS = 7  # longer than any upload of ours could still be running

KEEP = {"DeletionPolicy": RetainExceptOnCreate, "UpdateReplacePolicy": Retain}
"""Data outlives its stack, except when the deployment that created it is rolled back."""


def data_bucket(
    template: Template,
    settings: Settings,
    title: str,
    name: str,
    *,
    key_arn: object,
    access_logs: s3.Bucket | Ref,
    lifecycle: Iterable[s3.LifecycleRule],
    **options: Any,
) -> s3.Bucket:
    """Add a bucket that the customer-managed key encrypts, and its policy.

    `access_logs` is the bucket of access logs, or the name of the one that an earlier stack made.
    """
    by_key = s3.ServerSideEncryptionByDefault(SSEAlgorithm="aws:kms", KMSMasterKeyID=key_arn)
    return _bucket(
        template,
        settings,
        title,
        name,
        # the bucket key saves almost every request to KMS
        encryption=s3.ServerSideEncryptionRule(ServerSideEncryptionByDefault=by_key, BucketKeyEnabled=True),
        lifecycle=lifecycle,
        **_log_to(access_logs, f"{title.removesuffix('Bucket').lower()}/"),
        **options,
    )


def _log_to(access_logs: s3.Bucket | Ref, prefix: str) -> dict[str, Any]:
    """Until the policy of the bucket of access logs is there, logs are refused and lost."""
    if isinstance(access_logs, Ref):
        return {
            "LoggingConfiguration": s3.LoggingConfiguration(DestinationBucketName=access_logs, LogFilePrefix=prefix)
        }
    return {**_log_to(access_logs.ref(), prefix), "DependsOn": policy_title(access_logs.title)}


def access_logs_bucket(template: Template, settings: Settings, sources: Iterable[str]) -> s3.Bucket:
    """Add the bucket of access logs; `sources` are the names of the buckets that log to it."""
    by_s3 = s3.ServerSideEncryptionByDefault(SSEAlgorithm="AES256")  # log delivery cannot use the key
    deliver = Statement(
        Effect=Allow,
        Principal=Principal("Service", "logging.s3.amazonaws.com"),
        Action=[s3_actions.PutObject],
        Resource=[iam.objects_arn(bucket_name(settings, settings.access_logs.bucket_name), "*")],
        Condition=Condition(
            [
                StringEquals("aws:SourceAccount", AccountId),
                ArnLike("aws:SourceArn", [iam.bucket_arn(bucket_name(settings, source)) for source in sources]),
            ]
        ),
    )
    bucket = _bucket(
        template,
        settings,
        "AccessLogsBucket",
        settings.access_logs.bucket_name,
        encryption=s3.ServerSideEncryptionRule(ServerSideEncryptionByDefault=by_s3),
        lifecycle=[tidy(noncurrent_days=1, expire_days=settings.access_logs.retention_days)],
        statements=[deliver],
    )
    suppress(
        bucket, "A bucket that logged its own logs would never rest.", "CKV_AWS_18", "s3_bucket_logging_enabled_check"
    )
    suppress(bucket, "S3 delivers access logs to SSE-S3 alone.", "s3_bucket_default_encryption_kms_check")
    return bucket


def tidy(noncurrent_days: int, expire_days: int | None = None) -> s3.LifecycleRule:
    """What nobody can see any more does not cost for ever: old versions, delete markers, incomplete uploads.

    With `expire_days`, objects are deleted at that age; then S3 clears the delete markers by itself, and a rule that
    names both is refused (https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleExpiration.html).
    """
    expiration = {"ExpirationInDays": expire_days} if expire_days else {"ExpiredObjectDeleteMarker": True}
    return s3.LifecycleRule(
        Id="Tidy",
        Status="Enabled",
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=noncurrent_days),
        AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(DaysAfterInitiation=INCOMPLETE_UPLOAD_DAYS),
        **expiration,
    )


def move_to_glacier(days: int) -> s3.LifecycleRule:
    """Move objects to Glacier Flexible Retrieval; S3 leaves those under 128 KB, which would cost more there."""
    move = s3.LifecycleRuleTransition(StorageClass="GLACIER", TransitionInDays=days)
    return s3.LifecycleRule(Id="Glacier", Status="Enabled", Transitions=[move])


def _bucket(
    template: Template,
    settings: Settings,
    title: str,
    name: str,
    *,
    encryption: s3.ServerSideEncryptionRule,
    lifecycle: Iterable[s3.LifecycleRule],
    statements: Iterable[Statement] = (),
    **options: Any,
) -> s3.Bucket:
    bucket = s3.Bucket(
        title,
        BucketName=bucket_name(settings, name),
        BucketEncryption=s3.BucketEncryption(ServerSideEncryptionConfiguration=[encryption]),
        LifecycleConfiguration=s3.LifecycleConfiguration(Rules=list(lifecycle)),
        OwnershipControls=s3.OwnershipControls(Rules=[s3.OwnershipControlsRule(ObjectOwnership="BucketOwnerEnforced")]),
        PublicAccessBlockConfiguration=s3.PublicAccessBlockConfiguration(
            BlockPublicAcls=True, BlockPublicPolicy=True, IgnorePublicAcls=True, RestrictPublicBuckets=True
        ),
        VersioningConfiguration=s3.VersioningConfiguration(Status="Enabled"),
        **KEEP,
        **options,
    )
    suppress(
        bucket, "Nothing waits for single objects: the runs list what has come.", "s3_event_notifications_enabled_check"
    )
    suppress(
        bucket,
        "Versions and Retain keep data against mistakes; a lock would keep it against its owner's settings too.",
        "s3_bucket_object_lock_enabled_check",
    )
    template.add_resource(bucket)
    document = iam.policy(iam.refuse_plain_http(bucket.ref()), *statements)
    # kept like its bucket: what outlives the stack still refuses plain HTTP, and its logs are still accepted
    template.add_resource(s3.BucketPolicy(policy_title(title), Bucket=bucket.ref(), PolicyDocument=document, **KEEP))
    return bucket


def policy_title(bucket_title: str) -> str:
    """Logical id of a bucket's policy."""
    return f"{bucket_title}Policy"
