"""How the stacks hang together."""

import pytest
from troposphere import Output, Template

from config.settings import environments, load
from templates import root
from templates.shared.limits import BuildError
from templates.shared.wiring import needs, nest, offers
from tests.outputs import PROMISED
from tests.templates.walking import Stack, all_stacks, references, walk

CANONICAL = {
    "AccessLogsBucketName",
    "AlertsTopicArn",
    "AlertsTopicName",
    "CommitReprocessName",
    "CommitRewriteName",
    "CommitTableName",
    "CompactStateMachineArn",
    "DashboardName",
    "DecodeObjectsName",
    "DevicePolicyName",
    "ExpireSnapshotsName",
    "FirehoseName",
    "KeyArn",
    "KeyId",
    "LakeDatabaseName",
    "MergeReadingsName",
    "OptimizeStateMachineArn",
    "PlanCompactionName",
    "PlanMergeName",
    "PlanOptimizationName",
    "PlanReprocessName",
    "ProcessReadingsName",
    "ProcessedBucketName",
    "ProvisioningTemplateName",
    "RawBucketName",
    "RawPayloadRuleName",
    "ReadingsRuleName",
    "ReadingsTableName",
    "ReportReprocessName",
    "ReprocessStateMachineArn",
    "RestoreObjectsName",
    "RewriteParquetName",
    "RuleLogGroupName",
    "StartRunStateMachineArn",
    "StreamArn",
    "StreamName",
    "SweepOrphansName",
    "ThingTypeName",
    "TopicPrefix",
    "UndoReprocessName",
    "WriteHotTableName",
    "WriteParquetName",
}


def by_name(environment: str) -> dict[str, Stack]:
    return {stack.name: stack for stack in all_stacks() if stack.environment == environment}


@pytest.mark.parametrize("environment", environments())
def test_every_stack_is_given_exactly_what_it_declares(environment):
    stacks = by_name(environment)
    nested = stacks["root"].properties("AWS::CloudFormation::Stack")

    assert {stack["TemplateURL"] for stack in nested.values()} == {f"{name}.json" for name in stacks if name != "root"}
    for title, stack in nested.items():
        assert set(stack.get("Parameters", {})) == set(stacks[title.lower()].body.get("Parameters", {}))


@pytest.mark.parametrize("environment", environments())
def test_a_parameter_is_an_output_of_the_same_name_of_an_earlier_stack(environment):
    stacks = by_name(environment)
    order = list(root.STACKS)

    for title, stack in stacks["root"].properties("AWS::CloudFormation::Stack").items():
        for name, value in stack.get("Parameters", {}).items():
            source, _, output = value["Fn::GetAtt"][0], *value["Fn::GetAtt"][1].partition(".")[1:]
            assert output == name
            assert name in stacks[source.lower()].body["Outputs"]
            assert order.index(source.lower()) < order.index(title.lower())


def test_every_parameter_is_used():
    for stack in all_stacks():
        assert set(stack.body.get("Parameters", {})) <= references(stack), (stack.environment, stack.name)


@pytest.mark.parametrize("environment", environments())
def test_every_output_of_a_stack_is_an_output_of_the_root(environment):
    stacks = by_name(environment)
    offered = {name for stack in stacks.values() if stack.name != "root" for name in stack.body.get("Outputs", {})}

    assert offered <= set(stacks["root"].body["Outputs"])
    assert offered >= CANONICAL


@pytest.mark.parametrize("environment", PROMISED)
def test_the_root_has_the_outputs_that_the_system_promises(environment):
    assert PROMISED[environment] <= set(by_name(environment)["root"].body["Outputs"])


def test_stacks_export_and_import_nothing():
    for stack in all_stacks():
        assert not any(
            isinstance(value, dict) and ("Fn::ImportValue" in value or "Export" in value) for value in walk(stack.body)
        )


def test_a_parameter_that_nobody_offers_is_refused_with_the_offers():
    child = Template()
    needs(child, "ReadingsTableArn", "Table")

    with pytest.raises(
        BuildError, match=r"Realtime needs \['ReadingsTableArn'\], but .* only \['KeyArn'\]\. Add an output"
    ):
        nest(Template(), "realtime", child, {"KeyArn": "arn"})


def test_an_output_that_is_offered_twice_is_refused():
    child = Template()
    offers(child, KeyArn="arn")

    with pytest.raises(BuildError, match=r"offers \['KeyArn'\], which an earlier stack offers already"):
        nest(Template(), "storage", child, {"KeyArn": "arn"})


def settings_with_outputs(**outputs: str):
    return load("dev", {}).model_copy(update={"outputs": outputs})


def nested_with(output: str) -> dict[str, Template]:
    child = Template()
    child.add_output(Output(output, Value="x"))
    return {"security": child}


def test_an_alias_repeats_the_value_of_its_output():
    body = root.build(settings_with_outputs(MyKey="KeyArn"), nested_with("KeyArn")).to_dict()

    assert body["Outputs"]["MyKey"] == body["Outputs"]["KeyArn"]


def test_an_alias_of_an_output_that_does_not_exist_is_refused():
    with pytest.raises(BuildError, match=r"outputs\.Mine repeats 'KeyArm', but the stacks offer only \['KeyArn'\]"):
        root.build(settings_with_outputs(Mine="KeyArm"), nested_with("KeyArn"))


def test_an_alias_cannot_take_the_name_of_an_output():
    with pytest.raises(BuildError, match=r"outputs\.KeyArn is already an output"):
        root.build(settings_with_outputs(KeyArn="KeyArn"), nested_with("KeyArn"))
