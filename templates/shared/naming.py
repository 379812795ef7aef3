"""Names of resources: which the settings give, which follow from them, and how names become unique."""

from troposphere import Sub

from config.settings import Settings
from templates.shared.limits import check_bucket_name, check_layer_name


def bucket_name(settings: Settings, template: str) -> Sub:
    """A bucket's name with account and region, because bucket names are global; BuildError when it is too long."""
    start = settings.name(template)
    check_bucket_name(start, settings.region)
    return Sub(start + "-${AWS::AccountId}-${AWS::Region}")


def layer_name(settings: Settings, packages: str) -> str:
    """The name of a layer of packages; BuildError when it is too long."""
    name = own_name(settings, packages)
    check_layer_name(name)
    return name


def own_name(settings: Settings, what: str) -> str:
    """A name that the settings do not choose: `<system>-<what>-<suffix>`."""
    return f"{settings.system}-{what}-{settings.suffix}"


def logical_id(name: str) -> str:
    """`process_readings` → `ProcessReadings`, `aws-sdk` → `AwsSdk`."""
    return name.title().replace("_", "").replace("-", "")
