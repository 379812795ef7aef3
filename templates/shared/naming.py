"""Names of resources: which the settings give, which follow from them, and how names become unique."""

from troposphere import Sub

from config.settings import Settings
from templates.shared.limits import check_bucket_name


def bucket_name(settings: Settings, template: str) -> Sub:
    """A bucket's name with account and region, because bucket names are global; BuildError when it is too long."""
    start = settings.name(template)
    check_bucket_name(start, settings.region)
    return Sub(start + "-${AWS::AccountId}-${AWS::Region}")


def own_name(settings: Settings, what: str) -> str:
    """A name that the settings do not choose: `<system>-<what>-<suffix>`."""
    return f"{settings.system}-{what}-{settings.suffix}"


def logical_id(folder: str) -> str:
    """`process_readings` → `ProcessReadings`."""
    return folder.title().replace("_", "")
