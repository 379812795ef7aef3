"""The device registry: what a device is, what certificates may do, how devices provision themselves, rule logs."""

import json

import pytest
from cfnlint.config import ConfigMixIn
from cfnlint.runner import Runner

from config.settings import Settings, environments, load
from templates import devices
from templates.shared.limits import BuildError
from tests.templates.walking import Stack, all_stacks, stacks_named, statements

each = pytest.mark.parametrize("stack", stacks_named("devices"), ids=lambda stack: stack.environment)


def told(environment: str = "dev", **changes: object) -> Settings:
    settings = load(environment, {})
    return settings.model_copy(update={"devices": settings.devices.model_copy(update=changes)})


def built(settings: Settings) -> Stack:
    return Stack(settings.system, "devices", json.loads(devices.build(settings).to_json()))


def body(stack: Stack) -> dict:
    """The body of the provisioning template, as IoT reads it."""
    return json.loads(stack.only("AWS::IoT::ProvisioningTemplate")["TemplateBody"])


def allowed(stack: Stack, resource: str) -> dict[str, list[str]]:
    """Resources by action of one policy, without partition, region and account."""
    found: dict[str, list[str]] = {}
    for statement in statements():
        if (statement.stack, statement.resource) == (stack, resource) and "Principal" not in statement.body:
            for action in statement.actions:
                found.setdefault(action, []).extend(
                    item if isinstance(item, str) else item["Fn::Sub"].rpartition("${AWS::AccountId}:")[2]
                    for item in statement.body["Resource"]
                )
    return found


@each
def test_the_thing_type_has_the_attributes_that_the_settings_make_searchable(stack):
    thing_type = stack.only("AWS::IoT::ThingType")

    assert thing_type["ThingTypeName"] == stack.settings.name(stack.settings.devices.thing_type)
    assert thing_type["ThingTypeProperties"]["SearchableAttributes"] == list(
        stack.settings.devices.searchable_attributes
    )


def test_manufacturing_has_the_names_that_it_promises():
    (stack,) = [stack for stack in stacks_named("devices") if stack.environment == "manufacturing"]
    thing_type = stack.only("AWS::IoT::ThingType")

    assert thing_type["ThingTypeName"] == "manufacturing-sensor-dev"
    assert thing_type["ThingTypeProperties"]["SearchableAttributes"] == ["location", "facility", "equipment_type"]
    assert stack.only("AWS::Logs::LogGroup")["LogGroupName"] == "/aws/iot/iot-rules-dev"


@each
def test_what_devices_in_the_field_need_outlives_the_stack(stack):
    for title in ("DeviceType", "DevicePolicy"):
        item = stack.body["Resources"][title]
        assert (item["DeletionPolicy"], item["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


@each
def test_a_device_may_connect_as_its_thing_and_publish_to_its_topic_and_nothing_else(stack):
    thing = "${!iot:Connection.Thing.ThingName}"

    assert allowed(stack, "DevicePolicy") == {
        "iot:Connect": [f"client/{thing}"],
        "iot:Publish": [f"topic/{stack.settings.name(stack.settings.ingest.topic_prefix)}/{thing}/data"],
    }
    for found in statements():
        if (found.stack, found.resource) == (stack, "DevicePolicy"):
            assert found.body["Condition"] == {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}


@pytest.mark.parametrize("environment", environments())
def test_a_rule_reads_the_topics_that_devices_may_publish_to(environment):
    rules = [
        rule["TopicRulePayload"]["Sql"]
        for stack in all_stacks()
        if (stack.environment, stack.name) == (environment, "ingest")
        for rule in stack.properties("AWS::IoT::TopicRule").values()
    ]
    (stack,) = [stack for stack in stacks_named("devices") if stack.environment == environment]
    (topic,) = allowed(stack, "DevicePolicy")["iot:Publish"]

    topics = topic.removeprefix("topic/").replace("${!iot:Connection.Thing.ThingName}", "+")
    assert rules
    assert all(f"FROM '{topics}'" in sql for sql in rules)


@each
def test_a_claim_may_use_our_provisioning_template_and_no_topic_of_a_device(stack):
    template = stack.settings.name(stack.settings.devices.provisioning_template)
    rights = allowed(stack, "ClaimPolicy")
    requests = {
        "$aws/certificates/create/*",
        "$aws/certificates/create-from-csr/*",
        f"$aws/provisioning-templates/{template}/provision/*",
    }

    assert rights["iot:Connect"] == ["client/claim.*"], "a dot, which no thing's name has"
    assert set(rights["iot:Publish"]) == set(rights["iot:Receive"]) == {f"topic/{item}" for item in requests}
    assert set(rights["iot:Subscribe"]) == {f"topicfilter/{item}" for item in requests}
    assert set(rights) == {"iot:Connect", "iot:Publish", "iot:Receive", "iot:Subscribe"}


def test_without_the_claim_policy_there_is_none_and_provisioning_can_be_switched_off():
    stack = built(told(claim_policy=False, provisioning_enabled=False))

    assert set(stack.properties("AWS::IoT::Policy")) == {"DevicePolicy"}
    assert "ClaimPolicyName" not in stack.body["Outputs"]
    assert stack.only("AWS::IoT::ProvisioningTemplate")["Enabled"] is False


@each
def test_provisioning_makes_a_thing_of_the_type_with_an_active_certificate_and_the_policy(stack):
    settings = stack.settings
    resources = body(stack)["Resources"]
    attributes = {name: {"Ref": name} for name in settings.devices.searchable_attributes}
    certificate = {"Ref": "AWS::IoT::Certificate::Id"}

    assert resources["thing"]["Properties"] == {
        "ThingName": {"Ref": "SerialNumber"},
        "ThingTypeName": settings.name(settings.devices.thing_type),
        "AttributePayload": {**attributes, "certificate_id": certificate},
    }
    assert resources["certificate"]["Properties"] == {"CertificateId": certificate, "Status": "ACTIVE"}
    assert resources["policy"]["Properties"] == {"PolicyName": settings.name(settings.devices.policy)}
    assert set(body(stack)["Parameters"]) == {"SerialNumber", "AWS::IoT::Certificate::Id", *attributes}


@each
def test_provisioning_changes_no_thing_that_is_there(stack):
    overrides = body(stack)["Resources"]["thing"]["OverrideSettings"]
    role = allowed(stack, "ProvisioningRole")

    assert overrides == {"AttributePayload": "FAIL", "ThingTypeName": "FAIL", "ThingGroups": "FAIL"}
    assert not {"iot:UpdateThing", "iot:DeleteThing", "iot:CreatePolicy", "iot:DetachThingPrincipal"} & set(role)


@each
def test_what_the_provisioning_template_names_is_there_before_it(stack):
    assert set(stack.body["Resources"]["Provisioning"]["DependsOn"]) == {"DeviceType", "DevicePolicy"}


@each
def test_the_provisioning_role_may_do_what_our_template_uses_and_no_more(stack):
    """A part of https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSIoTThingsRegistration.html"""
    devices = stack.settings.devices
    by_resource: dict[str, set[str]] = {}
    for action, resources in allowed(stack, "ProvisioningRole").items():
        for resource in resources:
            by_resource.setdefault(resource, set()).add(action.removeprefix("iot:"))

    assert by_resource == {
        "thing/*": {"CreateThing", "DescribeThing"},
        "cert/*": {"AttachPolicy", "AttachPrincipalPolicy", "DescribeCertificate", "UpdateCertificate"},
        f"thingtype/{stack.settings.name(devices.thing_type)}": {"DescribeThingType"},
        f"policy/{stack.settings.name(devices.policy)}": {"GetPolicy", "ListTargetsForPolicy"},
        "*": {
            "AttachThingPrincipal",
            "ListAttachedPolicies",
            "ListPrincipalPolicies",
            "ListPrincipalThings",
            "ListThingPrincipals",
            "RegisterThing",
        },
    }


def test_a_name_that_is_too_long_for_iot_is_refused_when_building():
    with pytest.raises(BuildError, match=r"'x{37}' has 37 characters; IoT allows 36\. Shorten devices\.provisioning_"):
        built(told(provisioning_template="x" * 37))


def test_rules_log_to_our_group_when_asked_and_nothing_else_to_one_that_iot_makes(tmp_path):
    stack = built(told(rule_log_level="WARN"))
    logging, role = stack.only("AWS::IoT::Logging"), stack.properties("AWS::IAM::Role")["RuleLogsRole"]
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]

    assert logging["DefaultLogLevel"] == "DISABLED"
    assert {item["EventType"] for item in logging["EventConfigurations"]} >= {"RuleExecution", "RuleMatch"}
    for item in logging["EventConfigurations"]:
        assert (item["LogLevel"], item["LogDestination"]) == ("WARN", {"Ref": "RuleLogs"})
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == [{"Fn::GetAtt": ["RuleLogs", "Arn"]}], "it ends in :* already"
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}


def test_cfn_lint_finds_nothing_in_rules_that_log(tmp_path):
    template = tmp_path / "devices.json"
    template.write_text(devices.build(told(rule_log_level="INFO")).to_json(), encoding="utf-8")
    options = ConfigMixIn(["--regions", "eu-central-1", "--template", str(template)])

    assert [str(match) for match in Runner(options).run()] == []
