"""Without any one action that a role allows, something is refused and says so: none is there for nothing.

The cases are the statements of the templates, so that a new permission needs something here that uses it, or an entry
in `least_privilege/cases.py` with the reason why the embedded AWS cannot refuse it; and what is listed there must
change nothing when it is missing.
"""

import contextlib
import copy
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from local import process
from tests.e2e.least_privilege.cases import Privilege, enforced, exempt, roles, settings
from tests.e2e.least_privilege.functions import REFUSED, WRITTEN, Functions, new_run_id
from tests.e2e.least_privilege.reprocessing import Reprocessing
from tests.e2e.least_privilege.saving import Steps, Stores
from tests.e2e.least_privilege.services import Services
from tests.e2e.plant import Plant

pytestmark = pytest.mark.e2e

CASES = enforced()
SETTING_ASIDE = ("ProcessReadingsRole", "dynamodb:BatchWriteItem")
ERROR_ACTION = ("TopicRuleRole", "kinesis:PutRecord")
"""What has to fail as well, so that a failed batch is set aside, or the error action of a topic rule runs."""

STARTED = ["CompactStateMachineArn", "OptimizeStateMachineArn"]
"""Outputs of the machines that schedules start, as the statements of the starting machine's role have them."""

Use = Callable[[], str]
Uses = dict[str, Callable[[Privilege | None], Use]]
"""By role, what prepares a use with every permission, so that a privilege can be taken away, or none in particular."""


@pytest.fixture(scope="module")
def uses(running: process.Running, outputs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uses]:
    functions = Functions(outputs)
    steps = Steps(functions, Stores(outputs))
    reprocessing, step = Reprocessing(outputs, functions, steps), steps.use
    services = Services(running, outputs, functions, Plant(running, outputs, tmp_path_factory.mktemp("least")))
    with services.without_retries():
        yield {
            "ArchiveDeliveryRole": watched(services.archive),
            "CommitReprocessRole": step(reprocessing.before_commit, reprocessing.commit),
            "CommitRewriteRole": lambda _: commit_rewrite(functions),
            "CommitTableRole": functools.partial(commit, functions),
            "CompactRole": lambda _: services.run,
            "DecodeObjectsRole": step(reprocessing.before_decode, reprocessing.decode),
            "ExpireSnapshotsRole": lambda _: expire(functions),
            "MergeReadingsRole": step(reprocessing.before_merge, reprocessing.merge),
            "OptimizeRole": step(functions.fragment, lambda _: services.run_upkeep()),
            "PlanCompactionRole": lambda _: plan(functions),
            "PlanMergeRole": step(reprocessing.before_plan_merge, reprocessing.plan_merge),
            "PlanOptimizationRole": lambda _: plan_upkeep(functions),
            "PlanReprocessRole": step(
                reprocessing.before_plan, lambda run_input: reprocessing.plan(new_run_id(), run_input)
            ),
            "ProcessReadingsRole": functools.partial(process_readings, functions),
            "ProvisioningRole": lambda _: services.provision,
            "ReportReprocessRole": step(reprocessing.before_report, reprocessing.report),
            "ReprocessRole": functools.partial(run_reprocessing, services, reprocessing, steps),
            "RestoreObjectsRole": step(reprocessing.before_decode, reprocessing.restore),
            "RewriteParquetRole": lambda _: rewrite(functions),
            "ScheduleRole": watched(services.schedule),
            "StartRunRole": functools.partial(start, services),
            "SweepOrphansRole": lambda _: sweep(functions),
            "TopicRuleRole": watched(services.publish),
            "UndoReprocessRole": step(reprocessing.before_undo, reprocessing.undo),
            "WriteHotTableRole": step(reprocessing.before_hot, reprocessing.write_hot),
            "WriteParquetRole": lambda _: write(functions),
        }


def watched(use: Callable[[str], str]) -> Callable[[Privilege | None], Use]:
    """A use that waits for a refusal of the action that is missing, or for its end when none is."""
    return lambda missing: functools.partial(use, missing.action if missing else "")


def process_readings(functions: Functions, missing: Privilege | None) -> Use:
    if missing and (missing.action.startswith("kinesis:") or companion(missing)):
        return lambda: functions.read_the_stream(missing.action)
    return functions.process


def plan(functions: Functions) -> Use:
    functions.make_table()  # whose metadata the planner reads
    functions.written_run()  # there is something to plan
    functions.forget_ledger()  # which the planner then writes again
    return lambda: functions.plan(new_run_id())


def write(functions: Functions) -> Use:
    key, etag = functions.archive(WRITTEN)
    return lambda: functions.write(new_run_id(), key, etag)


def plan_upkeep(functions: Functions) -> Use:
    functions.fragment()
    return lambda: functions.plan_upkeep(new_run_id())


def rewrite(functions: Functions) -> Use:
    functions.fragment()
    run_id = new_run_id()
    functions.plan_upkeep(run_id)
    return lambda: functions.rewrite(run_id)


def commit_rewrite(functions: Functions) -> Use:
    run_id = functions.rewritten_run()
    return lambda: functions.commit_rewrite(run_id)


def expire(functions: Functions) -> Use:
    functions.fragment()
    functions.forget_ledger()  # which is then completed first
    return functions.expire


def sweep(functions: Functions) -> Use:
    functions.fragment()
    return functions.sweep


def run_reprocessing(services: Services, reprocessing: Reprocessing, steps: Steps, missing: Privilege | None) -> Use:
    """A run, or what else comes to the function that the missing statement names."""
    if missing and "UndoReprocess" in missing.resource:
        return lambda: services.run_reprocessing({"undo": new_run_id(), "note": "least privilege"})
    steps.there(reprocessing.before_run)

    def run() -> str:
        with_ice = missing and "RestoreObjects" in missing.resource
        with reprocessing.frozen() if with_ice else contextlib.nullcontext():
            return services.run_reprocessing(reprocessing.input())

    return run


def start(services: Services, missing: Privilege | None) -> Use:
    """A start of the machine that the missing statement names, in the order of the schedules."""
    outputs = STARTED if missing is None else [STARTED[missing.number]]
    return lambda: "".join(services.start(output) for output in outputs)


def commit(functions: Functions, missing: Privilege | None) -> Use:
    if missing and missing.action in {"glue:CreateTable", "glue:GetDatabase"}:
        functions.forget_table()
    else:
        functions.make_table()
    run_id = functions.written_run()
    return lambda: functions.commit(run_id)


def companion(missing: Privilege) -> tuple[str, str] | None:
    """Role and action that has to fail with it, when only what follows a failure uses the privilege."""
    if missing.role == "ProcessReadingsRole" and ("aws/lambda/" in missing.resource or "List" in missing.action):
        return SETTING_ASIDE
    if missing.role == "TopicRuleRole" and missing.action == "s3:PutObject":
        return ERROR_ACTION
    return None


@contextlib.contextmanager
def without(*missing: Privilege) -> Iterator[None]:
    """A role without some of what it allows, for as long as the block lasts."""
    iam = boto3.client("iam")
    (role,) = {deployed(privilege.stack, privilege.role) for privilege in missing}
    name = iam.list_role_policies(RoleName=role)["PolicyNames"][0]
    whole: dict[str, Any] = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]  # type: ignore[assignment]
    part = copy.deepcopy(whole)
    for privilege in missing:
        part["Statement"][privilege.place]["Action"].remove(privilege.action)
    part["Statement"] = [statement for statement in part["Statement"] if statement["Action"]]
    if part["Statement"]:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(part))
    else:  # a policy cannot be empty
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(whole))


@functools.cache
def resource_ids(stack_name: str) -> dict[str, str]:
    """Physical ids of a stack's resources by logical id."""
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_name)
    return {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for page in pages
        for item in page["StackResourceSummaries"]
    }


def deployed(stack: str, title: str) -> str:
    """The physical id of a resource of a nested stack."""
    return resource_ids(resource_ids(settings().stack_name)[stack.title()])[title]


def names(action: str, said: str) -> bool:
    """Whether a refusal is about the action; S3 asks s3:GetObject of who looks at an object's head, too, and answers
    with the status alone, and IoT tells a device that it is refused, and not why."""
    operation = action.split(":")[1]
    of_a_head = operation == "GetObject" and ("HeadObject" in said or "403 Forbidden" in said)
    return operation in said or of_a_head or action.startswith("iot:")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_something_is_refused_without(case: Privilege, uses: Uses) -> None:
    also = [one for one in CASES if (one.role, one.action) == companion(case)]
    use = uses[case.role](case)

    with without(case, *also):
        said = use()

    assert REFUSED.search(said), said
    assert names(case.action, said), said


@pytest.mark.parametrize("role", roles(CASES))
def test_nothing_is_refused_without_what_is_listed_as_not_enforced(role: str, uses: Uses) -> None:
    use = uses[role](None)

    listed = list(exempt(role))
    with without(*listed) if listed else contextlib.nullcontext():
        said = use()

    assert not REFUSED.search(said), said
    assert not said.startswith("nothing"), said
