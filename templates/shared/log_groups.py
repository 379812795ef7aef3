"""Log groups: encrypted, and kept as long as the settings say."""

from troposphere import Delete
from troposphere.logs import LogGroup

from config.settings import Settings
from templates.shared.suppressions import suppress

A_YEAR_DAYS = 365
"""How long security teams ask for logs."""


def log_group(title: str, settings: Settings, name: str, key_arn: object) -> LogGroup:
    """A log group. It exists before whoever writes to it, which therefore needs no right to create it."""
    group = LogGroup(
        title,
        LogGroupName=name,
        RetentionInDays=settings.log_retention_days,
        KmsKeyId=key_arn,
        # logs go with their stack: a group that stayed would keep its name, and the stack could not be made again
        DeletionPolicy=Delete,
        UpdateReplacePolicy=Delete,
    )
    if settings.log_retention_days < A_YEAR_DAYS:
        kept = f"The settings of this environment keep logs for {settings.log_retention_days} days."
        suppress(group, kept, "cloudwatch_log_group_retention_period_check")
    return group
