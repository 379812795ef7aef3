"""Devices: what a device is in the registry, what its certificate may do, and how a new one gets its certificate."""

import json

from awacs import iot as iot_actions
from awacs.aws import Condition
from troposphere import AccountId, Retain, RetainExceptOnCreate, Template, iot
from troposphere.iam import Role
from troposphere.logs import LogGroup

from config.devices import CERTIFICATE_ATTRIBUTE
from config.settings import Settings
from templates.shared import iam
from templates.shared.limits import check_provisioning_template_name
from templates.shared.log_groups import log_group
from templates.shared.naming import own_name
from templates.shared.wiring import needs, offers

KEEP = {"DeletionPolicy": RetainExceptOnCreate, "UpdateReplacePolicy": Retain}
"""Devices in the field outlive the stack. AWS would not delete a type that things have or a policy that certificates
have, and a type only five minutes after it is deprecated
(https://docs.aws.amazon.com/iot/latest/developerguide/delete-thing-types.html); a rollback of the first deployment,
when nothing uses them yet, leaves that wait to CloudFormation."""

THING = "${!iot:Connection.Thing.ThingName}"
"""In a policy: the thing that the certificate is attached to and that the client id names; without one, no match
(https://docs.aws.amazon.com/iot/latest/developerguide/thing-policy-variables.html)."""

CLAIM_CLIENTS = "claim.*"
"""Client ids of claim certificates. No thing's name has a dot, so a claim cannot push a device off its connection."""

CERTIFICATE_ID = "AWS::IoT::Certificate::Id"
"""The parameter that IoT fills in itself with the id of the certificate it has just made."""

SERIAL_NUMBER = "SerialNumber"

RULE_EVENTS = (
    "FunctionExecution",
    "RuleExecution",
    "RuleMatch",
    "RuleMessageThrottled",
    "RuleNotFound",
    "StartingRuleExecution",
)
"""https://docs.aws.amazon.com/iot/latest/developerguide/cwl-format.html#log-rules"""


def build(settings: Settings) -> Template:
    """Thing type, device policy, fleet provisioning and the log group of the topic rules."""
    template = Template("Device registry and provisioning")
    key_arn = needs(template, "KeyArn", "Key that encrypts the logs")
    thing_type = template.add_resource(_thing_type(settings))
    device_policy = template.add_resource(_device_policy(settings))
    provisioning = _provisioning(template, settings, thing_type, device_policy)
    group = template.add_resource(
        log_group("RuleLogs", settings, settings.name(settings.devices.rule_log_group), key_arn)
    )
    if settings.devices.rule_log_level:
        _logging(template, settings.devices.rule_log_level, group)
    offers(
        template,
        # names, not references: of these types AWS documents a reference to be an id
        ThingTypeName=settings.name(settings.devices.thing_type),
        DevicePolicyName=settings.name(settings.devices.policy),
        ProvisioningTemplateName=provisioning.ref(),
        RuleLogGroupName=group.ref(),
    )
    if settings.devices.claim_policy:
        template.add_resource(_claim_policy(settings))
        offers(template, ClaimPolicyName=own_name(settings, "claim"))
    return template


def _thing_type(settings: Settings) -> iot.ThingType:
    return iot.ThingType(
        "DeviceType",
        ThingTypeName=settings.name(settings.devices.thing_type),
        ThingTypeProperties=iot.ThingTypeProperties(
            ThingTypeDescription=f"Sensor of {settings.stack_name}",
            SearchableAttributes=list(settings.devices.searchable_attributes),
        ),
        **KEEP,
    )


def _device_policy(settings: Settings) -> iot.Policy:
    """Connect as the thing that the certificate is attached to, publish to that thing's topic, and nothing else."""
    connect = iam.allow(iam.arn("iot", f"client/{THING}"), iot_actions.Connect, condition=iam.attached_thing())
    publish = iam.allow(
        iam.arn("iot", f"topic/{settings.name(settings.ingest.topic_prefix)}/{THING}/data"),
        iot_actions.Publish,
        condition=iam.attached_thing(),
    )
    return iot.Policy(
        "DevicePolicy",
        PolicyName=settings.name(settings.devices.policy),
        PolicyDocument=iam.policy(connect, publish),
        **KEEP,
    )


def _claim_policy(settings: Settings) -> iot.Policy:
    """Ask for a certificate and register it with our template, over MQTT; no topic of any device.

    It goes with the stack: detach it from the claim certificates first, which then are worth nothing.
    """
    template = settings.name(settings.devices.provisioning_template)
    requests = (
        "$aws/certificates/create/*",
        "$aws/certificates/create-from-csr/*",
        f"$aws/provisioning-templates/{template}/provision/*",
    )
    statements = [iam.allow(iam.arn("iot", f"client/{CLAIM_CLIENTS}"), iot_actions.Connect)]
    for request in requests:
        statements += [
            iam.allow(iam.arn("iot", f"topic/{request}"), iot_actions.Publish, iot_actions.Receive),
            iam.allow(iam.arn("iot", f"topicfilter/{request}"), iot_actions.Subscribe),
        ]
    return iot.Policy("ClaimPolicy", PolicyName=own_name(settings, "claim"), PolicyDocument=iam.policy(*statements))


def _provisioning(
    template: Template, settings: Settings, thing_type: iot.ThingType, device_policy: iot.Policy
) -> iot.ProvisioningTemplate:
    name = settings.name(settings.devices.provisioning_template)
    check_provisioning_template_name(name)
    role = template.add_resource(_provisioning_role(settings))
    return template.add_resource(
        iot.ProvisioningTemplate(
            "Provisioning",
            TemplateName=name,
            TemplateType="FLEET_PROVISIONING",
            Description=f"Devices of {settings.stack_name}",
            Enabled=settings.devices.provisioning_enabled,
            ProvisioningRoleArn=role.get_att("Arn"),
            TemplateBody=json.dumps(_provisioning_body(settings), sort_keys=True),
            # the body names them as text, which CloudFormation does not see
            DependsOn=[thing_type.title, device_policy.title],
        )
    )


def _provisioning_body(settings: Settings) -> dict[str, object]:
    """What IoT makes of a device that registers: https://docs.aws.amazon.com/iot/latest/developerguide/provision-template.html

    The thing carries the id of its certificate. A name that is registered already has another one, which is a conflict
    that fails: whoever holds a claim cannot take over a device that exists (see docs/decisions/0016).
    """
    attributes = settings.devices.searchable_attributes
    parameters = (SERIAL_NUMBER, *attributes, CERTIFICATE_ID)
    thing = {
        "ThingName": {"Ref": SERIAL_NUMBER},
        "ThingTypeName": settings.name(settings.devices.thing_type),
        "AttributePayload": {name: {"Ref": name} for name in attributes}
        | {CERTIFICATE_ATTRIBUTE: {"Ref": CERTIFICATE_ID}},
    }
    certificate = {"CertificateId": {"Ref": CERTIFICATE_ID}, "Status": "ACTIVE"}
    policy = {"PolicyName": settings.name(settings.devices.policy)}
    return {
        "Parameters": {name: {"Type": "String"} for name in parameters},
        "Resources": {
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": thing,
                "OverrideSettings": {"AttributePayload": "FAIL", "ThingTypeName": "FAIL", "ThingGroups": "FAIL"},
            },
            "certificate": {"Type": "AWS::IoT::Certificate", "Properties": certificate},
            "policy": {"Type": "AWS::IoT::Policy", "Properties": policy},
        },
    }


def _provisioning_role(settings: Settings) -> Role:
    """The part of AWS's own policy AWSIoTThingsRegistration that our template uses: one thing, one certificate, one
    policy that exists; no groups, no new policies, no change of a thing that is there."""
    things = iam.arn("iot", "thing/*")
    certificates = iam.arn("iot", "cert/*")
    return iam.role(
        "ProvisioningRole",
        "iot.amazonaws.com",
        [
            iam.allow(
                things,
                iot_actions.CreateThing,
                iot_actions.DescribeThing,
            ),
            iam.allow(
                certificates,
                iot_actions.AttachPolicy,
                iot_actions.AttachPrincipalPolicy,
                iot_actions.DescribeCertificate,
                iot_actions.UpdateCertificate,
            ),
            iam.allow(
                iam.arn("iot", f"thingtype/{settings.name(settings.devices.thing_type)}"), iot_actions.DescribeThingType
            ),
            iam.allow(
                iam.arn("iot", f"policy/{settings.name(settings.devices.policy)}"),
                iot_actions.GetPolicy,
                iot_actions.ListTargetsForPolicy,
            ),
            # IoT knows no resource for these: with one, AWS would refuse them
            # (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsiot.html)
            iam.allow(
                iam.ANY,
                iot_actions.AttachThingPrincipal,
                iot_actions.ListAttachedPolicies,
                iot_actions.ListPrincipalPolicies,
                iot_actions.ListPrincipalThings,
                iot_actions.ListThingPrincipals,
                iot_actions.RegisterThing,
            ),
        ],
        _from_iot(),
    )


def _logging(template: Template, level: str, group: LogGroup) -> None:
    """Topic rules log to our group; everything else stays silent, because IoT would log it to a group of its own,
    without the key and without an end."""
    role = template.add_resource(
        iam.role("RuleLogsRole", "iot.amazonaws.com", [iam.write_logs(group.get_att("Arn"))], _from_iot())
    )
    template.add_resource(
        iot.Logging(
            "RuleLogging",
            AccountId=AccountId,
            DefaultLogLevel="DISABLED",
            RoleArn=role.get_att("Arn"),
            EventConfigurations=[
                iot.EventConfiguration(EventType=event, LogLevel=level, LogDestination=group.ref())
                for event in RULE_EVENTS
            ],
        )
    )


def _from_iot() -> Condition:
    """IoT on behalf of this account and region; it documents no narrower source for provisioning and logging."""
    return iam.from_here(iam.arn("iot", "*"))
