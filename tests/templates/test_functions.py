"""The functions and what starts them."""

import json

import pytest

from config.settings import environments, load
from templates.shared.catalogue import FUNCTIONS
from templates.shared.layers import layer_of
from tests.changed import with_all_channels
from tests.templates.walking import Stack, all_stacks, stacks_named, stacks_of, stacks_with

batch = pytest.mark.parametrize("stack", stacks_named("batch"), ids=lambda stack: stack.environment)
with_machines = pytest.mark.parametrize(
    "stack", stacks_with("AWS::StepFunctions::StateMachine"), ids=lambda stack: f"{stack.environment}-{stack.name}"
)
MAPS = [("Compact", "Write Parquet Files", "compaction"), ("Optimize", "Rewrite Parquet Files", "optimization")]
"""Of each machine that a schedule starts: its title, its Distributed Map, its section of the settings."""


def functions(environment: str) -> list[tuple[Stack, str, dict]]:
    return [
        (stack, title, function)
        for stack in all_stacks()
        if stack.environment == environment
        for title, function in stack.properties("AWS::Lambda::Function").items()
    ]


def test_every_function_of_the_catalogue_is_deployed_by_a_system_that_has_all_parts():
    stacks = stacks_of(with_all_channels(load("dev", {})), "dev")
    deployed = [function for stack in stacks for function in stack.properties("AWS::Lambda::Function").values()]

    assert {function["Code"] for function in deployed} == {f"{name}.zip" for name in FUNCTIONS}


@pytest.mark.parametrize("environment", environments())
def test_every_function_is_deployed_from_its_own_zip(environment):
    for _, _, function in functions(environment):
        folder = function["Code"].removesuffix(".zip")
        assert folder in FUNCTIONS
        assert function["Handler"] == f"{folder}.handler.handle"


@pytest.mark.parametrize("environment", environments())
def test_every_function_has_the_layer_of_its_packages_and_every_layer_a_function(environment):
    (layers,) = [stack for stack in stacks_named("layers") if stack.environment == environment]
    offered = {name: output["Value"]["Ref"] for name, output in layers.body["Outputs"].items()}
    needed = set()

    for _, _, function in functions(environment):
        layer = layer_of(function["Code"].removesuffix(".zip"))
        version = layers.properties("AWS::Lambda::LayerVersion")[offered[layer.output]]
        assert function["Layers"] == [{"Ref": layer.output}]
        assert version["Content"] == layer.file
        assert version["CompatibleRuntimes"] == [function["Runtime"]]
        assert version["CompatibleArchitectures"] == function["Architectures"]
        needed.add(layer.output)
    assert needed == set(offered)


@pytest.mark.parametrize("environment", environments())
def test_every_function_has_a_role_and_a_log_group_of_its_own(environment):
    found = functions(environment)

    for field in ("Role", "LoggingConfig", "FunctionName"):
        assert len({str(function[field]) for _, _, function in found}) == len(found)
    for stack, _, function in found:
        group = stack.properties("AWS::Logs::LogGroup")[function["LoggingConfig"]["LogGroup"]["Ref"]]
        assert group["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"


@pytest.mark.parametrize("environment", environments())
def test_every_function_may_write_to_its_own_log_group(environment):
    for stack, title, function in functions(environment):
        (role,) = stack.properties("AWS::IAM::Role")[f"{title}Role"]["Policies"]
        group = {"Fn::GetAtt": [function["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]}
        writing = [item for item in role["PolicyDocument"]["Statement"] if "logs:PutLogEvents" in item["Action"]]
        assert [(item["Action"], item["Resource"]) for item in writing] == [
            (["logs:CreateLogStream", "logs:PutLogEvents"], [group])
        ]


@pytest.mark.parametrize("environment", environments())
def test_functions_run_on_arm_and_the_python_that_the_layers_are_made_for(environment):
    for _, _, function in functions(environment):
        assert function["Runtime"] == "python3.13"
        assert function["Architectures"] == ["arm64"]


@pytest.mark.parametrize("environment", environments())
def test_functions_are_traced_when_the_settings_ask_for_it(environment):
    for stack, title, function in functions(environment):
        tracing = stack.settings.tracing
        assert function.get("TracingConfig") == ({"Mode": "Active"} if tracing else None)
        assert ("xray:PutTraceSegments" in str(stack.body["Resources"][f"{title}Role"])) is tracing


@with_machines
def test_every_state_machine_logs_everything_and_is_traced_as_the_settings_say(stack):
    for title, machine in stack.properties("AWS::StepFunctions::StateMachine").items():
        logging, group = machine["LoggingConfiguration"], stack.properties("AWS::Logs::LogGroup")[f"{title}Logs"]
        (destination,) = logging["Destinations"]

        assert destination == {"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": [f"{title}Logs", "Arn"]}}}
        assert (logging["Level"], logging["IncludeExecutionData"]) == ("ALL", True)
        assert group["LogGroupName"] == f"/aws/vendedlogs/states/{machine['StateMachineName']}"
        assert machine["TracingConfiguration"] == {"Enabled": stack.settings.tracing}


@batch
@pytest.mark.parametrize(("title", "state", "section"), MAPS)
def test_a_definition_has_its_numbers_filled_in(stack, title, state, section):
    machine = stack.properties("AWS::StepFunctions::StateMachine")[title]
    definition = json.loads(machine["DefinitionString"])

    assert definition["States"][state]["MaxConcurrency"] == getattr(stack.settings, section).concurrency


@pytest.mark.parametrize("stack", stacks_named("reprocessing"), ids=lambda stack: stack.environment)
def test_the_tasks_of_a_reprocessing_are_as_many_at_once_as_the_settings_say(stack):
    states = json.loads(stack.only("AWS::StepFunctions::StateMachine")["DefinitionString"])["States"]
    size = stack.settings.reprocessing

    assert {name: state["MaxConcurrency"] for name, state in states.items() if state["Type"] == "Map"} == {
        "Decode All Objects": size.concurrency,
        "Merge All Readings": size.concurrency,
        "Write All To Hot Table": size.hot_writers,
    }


@with_machines
def test_functions_are_left_to_cloudformation(stack):
    for machine in stack.properties("AWS::StepFunctions::StateMachine").values():
        for name, value in machine.get("DefinitionSubstitutions", {}).items():
            assert f"${{{name}}}" in machine["DefinitionString"]
            assert value == {"Fn::GetAtt": [name.removesuffix("Arn"), "Arn"]}


@batch
@pytest.mark.parametrize(("title", "section"), [(title, section) for title, _, section in MAPS])
def test_a_schedule_has_its_machine_started_with_the_scheduled_time(stack, title, section):
    schedule = stack.properties("AWS::Scheduler::Schedule")[f"{title}Schedule"]
    settings, target = getattr(stack.settings, section), schedule["Target"]
    text, given = target["Input"]["Fn::Sub"]

    assert schedule["GroupName"] == {"Ref": "Schedules"}
    assert schedule["ScheduleExpression"] == settings.schedule
    assert schedule["State"] == ("ENABLED" if settings.enabled else "DISABLED")
    assert target["Arn"] == {"Ref": "StartRun"}
    assert given == {"StateMachineArn": {"Ref": title}}
    assert json.loads(text) == {
        "scheduled_at": "<aws.scheduler.scheduled-time>",
        "state_machine_arn": "${StateMachineArn}",
    }
    assert "RetryPolicy" in target, "the default retries for a day, long after the next start"


@batch
def test_schedules_may_start_the_starting_machine_alone_and_it_the_scheduled_ones(stack):
    scheduled = [{"Ref": title} for title, _, _ in MAPS]

    assert _startable(stack, "ScheduleRole") == [{"Ref": "StartRun"}]
    assert _startable(stack, "StartRunRole") == scheduled
    assert _on(stack, "StartRunRole", "states:ListExecutions") == scheduled
    assert stack.properties("AWS::StepFunctions::StateMachine")["StartRun"]["StateMachineType"] == "EXPRESS"


def _startable(stack, role):
    return _on(stack, role, "states:StartExecution")


def _on(stack, role, action):
    (policy,) = stack.properties("AWS::IAM::Role")[role]["Policies"]
    return [
        resource
        for statement in policy["PolicyDocument"]["Statement"]
        for resource in statement["Resource"]
        if action in statement["Action"]
    ]


def test_every_environment_but_the_embedded_one_compacts_on_a_schedule():
    assert {name for name in environments() if not load(name, {}).compaction.enabled} == {"local"}
