"""The section `[devices]` of an environment's settings."""

from typing import Literal

from pydantic import Field, model_validator

from config.fields import LogGroupName, Model, ResourceName, TemplateName, ThingAttribute

CERTIFICATE_ATTRIBUTE = "certificate_id"
"""Attribute of a provisioned thing: the certificate that it was registered with."""


class Devices(Model):
    """The device registry: what a device is, what its certificate may do, and how new devices get theirs."""

    thing_type: ResourceName = Field(
        "{system}-sensor-{suffix}",
        description="Name of the thing type. AWS cannot change a type: other attributes need another name.",
    )
    searchable_attributes: tuple[ThingAttribute, ...] = Field(
        ("location", "facility", "equipment_type"),
        min_length=1,
        max_length=3,
        description="Attributes of a device that the registry can be searched by, one to three; a new device gives"
        " each of them.",
    )
    policy: ResourceName = Field("{system}-device-{suffix}", description="Name of the IoT policy of every device.")
    provisioning_template: TemplateName = Field(
        "{system}-{suffix}", description="Name of the fleet-provisioning template, filled in at most 36 characters."
    )
    provisioning_enabled: bool = Field(True, description="Whether devices can provision themselves with a claim.")
    claim_policy: bool = Field(
        True,
        description="Whether there is an IoT policy for claim certificates that last; without it only the claims of"
        " five minutes that `iot:CreateProvisioningClaim` gives to a trusted user.",
    )
    rule_log_group: LogGroupName = Field("/aws/iot/{system}-rules-{suffix}", description="Log group of topic rules.")
    rule_log_level: Literal["ERROR", "WARN", "INFO", "DEBUG"] | None = Field(
        None,
        description="Level at which topic rules log. IoT has one logging configuration an account and region: set it"
        " in one environment only; unset leaves the account's configuration alone.",
    )

    @model_validator(mode="after")
    def _attributes_apart(self) -> "Devices":
        if len(set(self.searchable_attributes)) < len(self.searchable_attributes):
            raise ValueError("searchable_attributes names an attribute twice")
        if CERTIFICATE_ATTRIBUTE in self.searchable_attributes:
            raise ValueError(f"'{CERTIFICATE_ATTRIBUTE}' is set by the provisioning and cannot be chosen")
        return self
