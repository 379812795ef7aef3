"""Buckets: private, versioned, encrypted, logged and tidied, with the policies that go with them."""

from collections.abc import Iterable, Sequence
from typing import Any

from awacs import s3 as s3_actions
from awacs.aws import Allow, ArnLike, Condition, Principal, Statement, StringEquals
from troposphere import AccountId, Ref, Retain, RetainExceptOnCreate, Template, s3

from config.settings import Settings
from config.storage import Transition
from templates.shared import iam
from templates.shared.naming import bucket_name
from templates.shared.suppressions import suppress

INCOMPLETE_UPLOAD_DAYS = 7  # for buckets of logs: longer than any upload to them could still be running

MOVED_OBJECTS = "all_storage_classes_128K"
"""Those under 128 KB stay: elsewhere they are billed as if they had 128 KB, and in Glacier with 40 KB on top
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html)."""

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
        lifecycle=[tidy(noncurrent_days=1), expire(settings.access_logs.retention_days)],
        statements=[deliver],
    )
    suppress(
        bucket, "A bucket that logged its own logs would never rest.", "CKV_AWS_18", "s3_bucket_logging_enabled_check"
    )
    suppress(bucket, "S3 delivers access logs to SSE-S3 alone.", "s3_bucket_default_encryption_kms_check")
    return bucket


def tidy(noncurrent_days: int, incomplete_upload_days: int = INCOMPLETE_UPLOAD_DAYS) -> s3.LifecycleRule:
    """What nobody can see any more does not cost for ever: old versions, incomplete uploads."""
    return s3.LifecycleRule(
        Id="Tidy",
        Status="Enabled",
        NoncurrentVersionExpiration=s3.NoncurrentVersionExpiration(NoncurrentDays=noncurrent_days),
        AbortIncompleteMultipartUpload=s3.AbortIncompleteMultipartUpload(DaysAfterInitiation=incomplete_upload_days),
    )


def expire(days: int | None, prefix: str = "") -> s3.LifecycleRule:
    """Delete the objects below `prefix` at this age; None: only the delete markers that no longer hide anything.

    With an age, S3 clears those markers by itself, and a rule that names both is refused
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleExpiration.html).
    """
    expiration = {"ExpirationInDays": days} if days else {"ExpiredObjectDeleteMarker": True}
    return s3.LifecycleRule(
        Id=f"Expire {prefix}".strip(), Status="Enabled", **({"Prefix": prefix} if prefix else {}), **expiration
    )


def move(transitions: Sequence[Transition]) -> list[s3.LifecycleRule]:
    """Move objects to cheaper storage classes; no rule when there is nowhere to move them."""
    moves = [
        s3.LifecycleRuleTransition(StorageClass=each.storage_class, TransitionInDays=each.after_days)
        for each in transitions
    ]
    return [s3.LifecycleRule(Id="Move", Status="Enabled", Transitions=moves)] if moves else []


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
        LifecycleConfiguration=s3.LifecycleConfiguration(
            Rules=list(lifecycle), TransitionDefaultMinimumObjectSize=MOVED_OBJECTS
        ),
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
