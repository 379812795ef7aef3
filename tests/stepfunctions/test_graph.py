"""The shape of the state machines: nothing unreachable, nothing leading nowhere, nothing tried only once."""

import json

import pytest

from compaction import planning
from compaction.errors import CompactionError
from config.sections import Compaction, Optimization, Reprocessing
from optimization import surveying
from optimization.errors import OptimizationError
from reprocessing.errors import TableBusy
from templates.shared.limits import BuildError
from templates.shared.state_machines import DEFINITIONS, PLACEHOLDER, definition
from tests.stepfunctions.graphs import definitions, graphs
from tests.templates.walking import stacks_named

each_graph = pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.place)
PASSING = {"CommitConflict", "FilesNotDeleted", TableBusy.__name__}
"""Named failures of our own functions that trying again can mend."""

TASK_S = 120
"""Seconds of a task, on the long side of docs/scale.md."""

NEW_ACCOUNT = 10
"""Concurrent executions of functions in a new account
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""

EXPRESS_S = 300
"""An express machine runs no longer (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html)."""

RETRIED = {
    "arn:aws:states:::lambda:invoke": {
        "Lambda.ServiceException",
        "Lambda.TooManyRequestsException",
        "Lambda.SdkClientException",
    },
    "arn:aws:states:::states:startExecution": {"States.TaskFailed", "States.Timeout"},
    "arn:aws:states:::aws-sdk:sfn:listExecutions": {"States.TaskFailed", "States.Timeout"},
}
"""By integration: failures of the service itself, which pass."""


def test_the_walk_sees_the_machine_and_the_states_inside_its_map():
    assert [graph.place for graph in graphs()] == [
        "compact.asl.json",
        "compact.asl.json: Write Parquet Files",
        "optimize.asl.json",
        "optimize.asl.json: Rewrite Parquet Files",
        "reprocess.asl.json",
        "reprocess.asl.json: Decode All Objects",
        "reprocess.asl.json: Merge All Readings",
        "reprocess.asl.json: Write All To Hot Table",
        "start_run.asl.json",
    ]


@each_graph
def test_every_state_is_reached(graph):
    assert graph.reached() == set(graph.states)


@each_graph
def test_every_target_exists(graph):
    assert {target for name in graph.states for target in graph.targets(name)} <= set(graph.states)


@each_graph
def test_every_state_goes_on_or_ends(graph):
    for name, state in graph.states.items():
        ends = state.get("End") is True or state["Type"] in ("Succeed", "Fail")
        assert ends != bool({"Next", "Default", "Choices"} & set(state)), name


@each_graph
def test_every_choice_has_a_default(graph):
    for state in graph.states.values():
        assert state["Type"] != "Choice" or "Default" in state


@each_graph
def test_a_state_that_is_called_a_failure_fails(graph):
    for name, state in graph.states.items():
        assert ("Fail" in name) <= (state["Type"] == "Fail"), name


@each_graph
def test_every_task_is_limited_in_time_and_retried_when_the_service_itself_fails(graph):
    for name, state in graph.states.items():
        if state["Type"] == "Task":
            assert state["Resource"] in RETRIED, name
            retried = {error for retry in state["Retry"] for error in retry["ErrorEquals"]}
            assert retried >= RETRIED[state["Resource"]], name
            assert state["TimeoutSeconds"] <= 900, "no function runs longer"


@each_graph
def test_an_unknown_failure_of_a_function_is_tried_again_and_one_that_stays_is_not(graph):
    for name, state in graph.states.items():
        if state["Type"] == "Task" and "States.ALL" not in _caught(state):
            for_good, *_, unknown = state["Retry"]
            assert for_good["MaxAttempts"] == 0, name
            assert _caught(state) <= {*for_good["ErrorEquals"]}, name
            assert unknown["ErrorEquals"][0] == "States.TaskFailed", name
            assert unknown["MaxAttempts"] > 0, name


def test_only_the_look_for_another_run_may_fail_without_an_end():
    goes_on = {
        name: catch["Next"]
        for graph in graphs()
        for name, state in graph.states.items()
        for catch in state.get("Catch", [])
        if "States.ALL" in catch["ErrorEquals"]
    }

    assert goes_on == {"Look For A Run": "Start Run"}


def _caught(state):
    return {error for catch in state.get("Catch", []) for error in catch["ErrorEquals"]}


def test_every_named_failure_of_a_run_stays_but_those_that_pass():
    tasks = [
        state
        for graph in graphs()
        for state in graph.states.values()
        if state.get("Resource") == "arn:aws:states:::lambda:invoke"
    ]
    errors = (*CompactionError.__subclasses__(), *OptimizationError.__subclasses__())
    named = {error.__name__ for error in errors}

    assert {error for task in tasks for error in task["Retry"][0]["ErrorEquals"]} == {
        *(named - PASSING),
        "UnbalancedError",
    }


def test_an_item_of_a_map_waits_longer_for_a_place_among_the_accounts_executions_than_the_others_take():
    """A new account runs ten functions at once, less than a map starts."""
    items = {
        name: state
        for graph in graphs()
        for name, state in graph.states.items()
        if ": " in graph.place and state["Type"] == "Task"
    }

    assert set(items) == {"Write Parquet", "Rewrite Parquet", "Decode Objects", "Merge Readings", "Write Hot Table"}
    for state in items.values():
        (retry,) = (retry for retry in state["Retry"] if "Lambda.TooManyRequestsException" in retry["ErrorEquals"])
        growing = (retry["IntervalSeconds"] * retry["BackoffRate"] ** number for number in range(retry["MaxAttempts"]))
        waits = sum(min(wait, retry["MaxDelaySeconds"]) for wait in growing) / 2  # full jitter
        rounds = max(Compaction().concurrency, Optimization().concurrency, Reprocessing().concurrency) / NEW_ACCOUNT
        assert waits > (rounds - 1) * TASK_S


@each_graph
def test_no_failed_item_of_a_map_is_tolerated(graph):
    for state in graph.states.values():
        if state["Type"] == "Map":
            assert state["ToleratedFailurePercentage"] == 0
            assert state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
            assert "TimeoutSeconds" not in state, "Step Functions refuses it on a Map"


@each_graph
def test_a_map_names_its_failed_items_in_the_runs_folder_and_keeps_no_result_in_the_state(graph):
    for state in graph.states.values():
        if state["Type"] == "Map":
            writer, machine = state["ResultWriter"], graph.place.partition(".")[0]
            assert writer["Resource"] == "arn:aws:states:::s3:putObject"
            assert writer["Parameters"]["Prefix.$"] == f"States.Format('runs/{machine}/{{}}/map', $.run_id)"
            assert state["ResultPath"] is None


@pytest.mark.parametrize(
    ("name", "tasks", "concurrency"),
    [
        ("compact", planning.MAX_TASKS, Compaction().concurrency),
        ("optimize", surveying.MAX_TASKS, Optimization().concurrency),
    ],
)
def test_a_machine_is_limited_in_time_which_is_enough_for_the_largest_plan(name, tasks, concurrency):
    machine = json.loads((DEFINITIONS / f"{name}.asl.json").read_text(encoding="utf-8"))
    others = sum(state.get("TimeoutSeconds", 0) for state in machine["States"].values())

    assert tasks / concurrency * TASK_S + others <= machine["TimeoutSeconds"] <= 24 * 3600


def test_a_start_has_time_for_all_its_tries_before_an_express_machine_is_ended():
    machine = json.loads((DEFINITIONS / "start_run.asl.json").read_text(encoding="utf-8"))
    tasks = [state for state in machine["States"].values() if state["Type"] == "Task"]

    assert sum(map(longest_s, tasks)) <= machine["TimeoutSeconds"] <= EXPRESS_S


def longest_s(task):
    """Seconds of a task that fails at every try."""
    *_, retry = task["Retry"]
    waits = [retry["IntervalSeconds"] * retry["BackoffRate"] ** number for number in range(retry["MaxAttempts"])]
    return sum(waits) + (len(waits) + 1) * task["TimeoutSeconds"]


@pytest.mark.parametrize("path", definitions(), ids=lambda path: path.name)
def test_a_definition_knows_no_account_region_or_arn_of_ours(path):
    text = path.read_text(encoding="utf-8").replace("arn:aws:states:::", "")

    assert "arn:" not in text
    assert "amazonaws.com" not in text


def test_every_definition_is_deployed_and_has_its_placeholders_substituted():
    for batch, reprocessing in zip(stacks_named("batch"), stacks_named("reprocessing"), strict=True):
        machines = [
            machine
            for stack in (batch, reprocessing)
            for machine in stack.properties("AWS::StepFunctions::StateMachine").values()
        ]
        assert len(machines) == len(definitions())
        for machine in machines:
            substituted = set(machine.get("DefinitionSubstitutions", {}))
            assert set(PLACEHOLDER.findall(machine["DefinitionString"])) == substituted


def write(folder, states):
    path = folder / "made.asl.json"
    path.write_text(json.dumps(states), encoding="utf-8")
    return path


def test_a_placeholder_without_a_substitution_is_refused(tmp_path):
    path = write(tmp_path, {"FunctionName": "${PlanArn}"})

    with pytest.raises(BuildError, match=r"made\.asl\.json has the placeholders \['PlanArn'\] without a substitution"):
        definition(path, {"WriteArn": "arn"}, {})


def test_a_substitution_without_a_placeholder_is_refused(tmp_path):
    path = write(tmp_path, {"FunctionName": "${PlanArn}"})

    with pytest.raises(BuildError, match=r"made\.asl\.json has no placeholder for \['WriteArn'\]"):
        definition(path, {"PlanArn": "arn", "WriteArn": "arn"}, {})


def test_a_number_is_filled_in_as_a_number(tmp_path):
    path = write(tmp_path, {"MaxConcurrency": "${Most}", "FunctionName": "${PlanArn}"})

    assert json.loads(definition(path, {"PlanArn": "arn"}, {"Most": 7})) == {
        "MaxConcurrency": 7,
        "FunctionName": "${PlanArn}",
    }


def test_a_number_inside_a_text_is_refused(tmp_path):
    path = write(tmp_path, {"Comment": "at most ${Most}"})

    with pytest.raises(BuildError, match="the number Most inside a text"):
        definition(path, {}, {"Most": 7})


def test_a_definition_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "made.asl.json"
    path.write_text("{", encoding="utf-8")

    with pytest.raises(BuildError, match=r"made\.asl\.json is not valid JSON"):
        definition(path, {}, {})
