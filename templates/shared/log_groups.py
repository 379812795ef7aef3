"""Log groups: encrypted, and kept as long as the settings say."""

from troposphere.logs import LogGroup

from config.settings import Settings


def log_group(title: str, settings: Settings, name: str, key_arn: object) -> LogGroup:
    """A log group. It exists before whoever writes to it, which therefore needs no right to create it."""
    return LogGroup(title, LogGroupName=name, RetentionInDays=settings.log_retention_days, KmsKeyId=key_arn)
