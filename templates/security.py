"""Security: the customer-managed key that encrypts every store, and who may use it for what."""

from awacs import kms
from awacs.aws import Action, Allow, ArnLike, BoolIfExists, Condition, Deny, Principal, Statement, StringEquals
from troposphere import AccountId, Retain, Sub, Template
from troposphere.kms import Alias, Key

from config.settings import Settings
from templates.shared import iam
from templates.shared.wiring import offers

ADMINISTRATION = (
    kms.CancelKeyDeletion,
    kms.CreateAlias,
    kms.CreateGrant,
    kms.DeleteAlias,
    kms.DescribeKey,
    kms.DisableKey,
    kms.DisableKeyRotation,
    kms.EnableKey,
    kms.EnableKeyRotation,
    kms.GetKeyPolicy,
    kms.GetKeyRotationStatus,
    kms.ListGrants,
    kms.ListKeyPolicies,
    kms.ListKeyRotations,
    kms.ListResourceTags,
    kms.PutKeyPolicy,
    kms.RevokeGrant,
    kms.RotateKeyOnDemand,
    kms.ScheduleKeyDeletion,
    kms.TagResource,
    kms.UntagResource,
    kms.UpdateAlias,
    kms.UpdateKeyDescription,
)
CRYPTOGRAPHY = (
    kms.Decrypt,
    kms.Encrypt,
    kms.GenerateDataKey,
    kms.GenerateDataKeyWithoutPlaintext,
    kms.ReEncryptFrom,
    kms.ReEncryptTo,
)
SERVICES = ("dynamodb", "kinesis", "s3", "sns")
"""Services that keep data of every system."""


def build(settings: Settings) -> Template:
    """The key and its alias."""
    template = Template("Encryption key")
    key = template.add_resource(
        Key(
            "DataKey",
            Description=f"Data of {settings.stack_name}",
            EnableKeyRotation=True,
            PendingWindowInDays=settings.security.key_deletion_window_days,
            KeyPolicy=iam.policy(
                _administer(),
                _work(settings),
                _encrypt_logs(),
                _deliver_alarms(),
                *_fill_queues(settings),
                *_encrypt_trail(settings),
                _grant_to_services_only(),
            ),
            # A deleted key is deleted data. No RetainExceptOnCreate: a key has no name that could be taken.
            DeletionPolicy=Retain,
            UpdateReplacePolicy=Retain,
        )
    )
    template.add_resource(
        Alias("DataKeyAlias", AliasName=f"alias/{settings.name(settings.security.key_alias)}", TargetKeyId=key.ref())
    )
    offers(template, KeyId=key.ref(), KeyArn=key.get_att("Arn"))
    return template


def _statement(sid: str, principal: Principal, actions: tuple[Action, ...], *conditions: object) -> Statement:
    """In a key policy `*` is the key that carries it."""
    statement = Statement(Sid=sid, Effect=Allow, Principal=principal, Action=list(actions), Resource=[iam.ANY])
    if conditions:
        statement.properties["Condition"] = Condition(list(conditions))
    return statement


def _account() -> Principal:
    return Principal("AWS", Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root"))


def _administer() -> Statement:
    """Whoever the account's IAM policies make an administrator of keys; without it nobody could change the key."""
    return _statement("AdministerByIam", _account(), ADMINISTRATION)


def _work(settings: Settings) -> Statement:
    """Roles of this account, as far as their own policies go, and only through the services that keep our data."""
    optional = {"secretsmanager": bool(settings.credentials), "sqs": _has_queues(settings)}
    used = (*SERVICES, *(service for service, is_used in optional.items() if is_used))
    services = [Sub(f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}") for service in used]
    return _statement("UseThroughServices", _account(), CRYPTOGRAPHY, StringEquals("kms:ViaService", services))


def _encrypt_logs() -> Statement:
    """CloudWatch Logs, for the log groups of this account and region."""
    context = ArnLike("kms:EncryptionContext:aws:logs:arn", iam.arn("logs", "log-group:*"))
    principal = Principal("Service", Sub("logs.${AWS::Region}.${AWS::URLSuffix}"))
    return _statement("EncryptLogs", principal, CRYPTOGRAPHY, context)


def _deliver_alarms() -> Statement:
    """CloudWatch alarms, which publish to the encrypted topic themselves."""
    return _statement(
        "DeliverAlarms",
        Principal("Service", "cloudwatch.amazonaws.com"),
        (kms.Decrypt, kms.GenerateDataKey, kms.GenerateDataKeyWithoutPlaintext),
        StringEquals("aws:SourceAccount", AccountId),
        ArnLike("aws:SourceArn", iam.arn("cloudwatch", "alarm:*")),
    )


def _has_queues(settings: Settings) -> bool:
    return bool(settings.alerts.queue or settings.alerts.webhook)


def _fill_queues(settings: Settings) -> list[Statement]:
    """SNS, for what the alerts topic puts into encrypted queues
    (https://docs.aws.amazon.com/sns/latest/dg/sns-enable-encryption-for-topic-sqs-queue-subscriptions.html)."""
    if not _has_queues(settings):
        return []
    topic = ArnLike("aws:SourceArn", iam.arn("sns", settings.name(settings.alerts.topic_name)))
    principal = Principal("Service", "sns.amazonaws.com")
    return [_statement("FillQueues", principal, (kms.Decrypt, kms.GenerateDataKey), topic)]


def _encrypt_trail(settings: Settings) -> list[Statement]:
    """The audit trail, and no other. Its bucket has a bucket key, for which CloudTrail needs `Decrypt` as well
    (https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html)."""
    if not settings.audit.enabled:
        return []
    principal = Principal("Service", "cloudtrail.amazonaws.com")
    arn = iam.trail_arn(settings.name(settings.audit.trail_name))
    its_files = StringEquals({"aws:SourceArn": arn, "kms:EncryptionContext:aws:cloudtrail:arn": arn})
    encryption = (kms.Decrypt, kms.GenerateDataKey, kms.GenerateDataKeyWithoutPlaintext)
    return [
        _statement("EncryptTrail", principal, encryption, its_files),
        _statement("DescribeForTrail", principal, (kms.DescribeKey,), StringEquals("aws:SourceArn", arn)),
    ]


def _grant_to_services_only() -> Statement:
    """A grant is a right that stands in no policy: nobody gives one but through an AWS service that needs it."""
    neither = {"kms:GrantIsForAWSResource": "false", "aws:PrincipalIsAWSService": "false"}
    return Statement(
        Sid="GrantToServicesOnly",
        Effect=Deny,
        Principal=Principal("*"),
        Action=[kms.CreateGrant],
        Resource=[iam.ANY],
        Condition=Condition(BoolIfExists(neither)),
    )
