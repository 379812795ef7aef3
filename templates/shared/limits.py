"""What CloudFormation, S3 and Lambda refuse, checked when a template is built instead of when it is deployed."""

from collections.abc import Mapping
from typing import Any

INLINE_TEMPLATE_BYTES = 51_200
STORED_TEMPLATE_BYTES = 1_000_000
RESOURCES = 500
PARAMETERS = 200
OUTPUTS = 200
"""Quotas of one template: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html"""

UNZIPPED_BYTES = 262_144_000
"""250 MB, function and layers: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

PROVISIONING_TEMPLATE_NAME_CHARACTERS = 36
"""https://docs.aws.amazon.com/iot/latest/apireference/API_CreateProvisioningTemplate.html"""

LAYER_NAME_CHARACTERS = 140
"""https://docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html"""

BUCKET_NAME_CHARACTERS = 63
ACCOUNT_CHARACTERS = 12


class BuildError(Exception):
    """Something that cannot be built; the message says what, where and what to do."""


def check_template(name: str, body: Mapping[str, Any], size_bytes: int, inline: bool) -> None:
    """Refuse a template beyond CloudFormation's quotas. `inline`: it is sent with the request, not read from S3."""
    allowed = INLINE_TEMPLATE_BYTES if inline else STORED_TEMPLATE_BYTES
    counts = (
        ("bytes", size_bytes, allowed, "Shorten it or split the stack"),
        ("resources", len(body.get("Resources", {})), RESOURCES, "Split the stack"),
        ("parameters", len(body.get("Parameters", {})), PARAMETERS, "Split the stack"),
        ("outputs", len(body.get("Outputs", {})), OUTPUTS, "Split the stack"),
    )
    for what, count, most, advice in counts:
        if count > most:
            raise BuildError(f"Template {name} has {count:,} {what}; CloudFormation allows {most:,}. {advice}.")


def check_function(name: str, unzipped_bytes: int) -> None:
    """Refuse a function that Lambda could not unpack; `unzipped_bytes` are those of its zip and of its layer."""
    if unzipped_bytes > UNZIPPED_BYTES:
        raise BuildError(
            f"Function {name} is {unzipped_bytes:,} bytes unzipped, with its layer; Lambda allows {UNZIPPED_BYTES:,}."
            f" Drop a dependency from lambdas/{name}/requirements.in or trim more in templates/shared/packages.py."
        )


def check_layer_name(name: str) -> None:
    """Refuse a name that Lambda would refuse for a layer."""
    if len(name) > LAYER_NAME_CHARACTERS:
        raise BuildError(
            f"Layer name '{name}' has {len(name)} characters; Lambda allows {LAYER_NAME_CHARACTERS}."
            " Ask for fewer packages in the function's requirements.in: what they need comes with them."
        )


def check_bucket_name(start: str, region: str) -> None:
    """Refuse a bucket name that is too long once the account and the region are appended."""
    length = len(start) + len(region) + ACCOUNT_CHARACTERS + len("--")
    if length > BUCKET_NAME_CHARACTERS:
        raise BuildError(
            f"Bucket name '{start}-<account>-{region}' has {length} characters; S3 allows {BUCKET_NAME_CHARACTERS}."
            " Shorten the bucket's name or the suffix in the settings."
        )


def check_provisioning_template_name(name: str) -> None:
    """Refuse a name that IoT would refuse for a provisioning template."""
    if len(name) > PROVISIONING_TEMPLATE_NAME_CHARACTERS:
        raise BuildError(
            f"Provisioning template name '{name}' has {len(name)} characters; IoT allows"
            f" {PROVISIONING_TEMPLATE_NAME_CHARACTERS}. Shorten devices.provisioning_template in the settings."
        )
