"""Who may do what for a reprocessing: its functions, and the people who have the policy to start it."""

import pytest

from tests.templates.test_permissions import resources_by_action
from tests.templates.traps.systems import text
from tests.templates.walking import Stack, stacks_named, statements

OWN = "runs/reprocess/*"
EXECUTIONS = {
    "states:DescribeExecution",
    "states:DescribeStateMachineForExecution",
    "states:GetExecutionHistory",
    "states:ListMapRuns",
    "states:RedriveExecution",
    "states:StopExecution",
}


@pytest.mark.parametrize(
    ("role", "changes"),
    [
        ("PlanReprocessRole", {OWN, "ledger/reprocess/claims/*"}),
        ("RestoreObjectsRole", {OWN}),
        ("DecodeObjectsRole", {OWN, "staging/reprocess/*"}),
        ("PlanMergeRole", {OWN}),
        ("MergeReadingsRole", {OWN, "warehouse/readings/*"}),
        (
            "CommitReprocessRole",
            {OWN, "ledger/quarantine/*", "ledger/reprocess/claims/*", "quarantine/*", "warehouse/readings/*"},
        ),
        ("WriteHotTableRole", {OWN}),
        ("ReportReprocessRole", {OWN, "ledger/quarantine/*", "ledger/reprocess/*"}),
        ("UndoReprocessRole", {OWN, "ledger/reprocess/*", "ledger/reprocess/claims/*", "warehouse/readings/*"}),
    ],
)
def test_a_step_writes_nothing_but_what_is_its_own(role: str, changes: set[str]) -> None:
    """The table's pointer aside, which only a commit and an undo move."""
    allowed = resources_by_action("reprocessing", role)

    assert {text(arn).split("}/")[1] for arn in allowed.get("s3:PutObject", [])} == changes
    assert ("glue:UpdateTable" in allowed) is (role in ("CommitReprocessRole", "UndoReprocessRole"))
    assert ("dynamodb:PutItem" in allowed) is (role == "WriteHotTableRole")
    assert ("sns:Publish" in allowed) is (role == "ReportReprocessRole")
    assert ("s3:RestoreObject" in allowed) is (role == "RestoreObjectsRole")


@pytest.mark.parametrize("stack", stacks_named("reprocessing"), ids=lambda stack: stack.environment)
def test_who_has_the_policy_starts_watches_stops_redrives_and_reads_reports_and_nothing_else(stack: Stack) -> None:
    (policy,) = stack.resources("AWS::IAM::ManagedPolicy")
    said = [found for found in statements() if found.stack == stack and found.resource == policy]
    found = {text(one.body["Resource"][0]).removeprefix("arn:${AWS::Partition}:"): set(one.actions) for one in said}
    here, name = "${AWS::Region}:${AWS::AccountId}", stack.only("AWS::StepFunctions::StateMachine")["StateMachineName"]

    assert found == {
        "": {"kms:Decrypt"},  # of the key, through S3
        f"states:{here}:stateMachine:{name}": {
            "states:DescribeStateMachine",
            "states:ListExecutions",
            "states:StartExecution",
        },
        f"states:{here}:execution:{name}:*": EXECUTIONS,
        f"states:{here}:mapRun:{name}/*": {"states:DescribeMapRun", "states:ListExecutions"},
        f"states:{here}:execution:{name}/*": {"states:DescribeExecution", "states:GetExecutionHistory"},
        "s3:::${Bucket}/runs/reprocess/*": {"s3:GetObject"},
        "s3:::${Bucket}": {"s3:ListBucket"},
        "*": {"cloudformation:DescribeStacks", "cloudformation:ListStacks"},
    }
    assert [one.conditions["s3:prefix"] for one in said if "s3:ListBucket" in one.actions] == [[OWN]]
    assert ["kms:ViaService" in one.conditions for one in said if "kms:Decrypt" in one.actions] == [True]


@pytest.mark.parametrize("stack", stacks_named("reprocessing"), ids=lambda stack: stack.environment)
def test_nothing_but_a_person_starts_it(stack: Stack) -> None:
    assert stack.resources("AWS::Scheduler::Schedule") == {}
    assert "states:StartExecution" not in {
        action
        for found in statements()
        if found.stack == stack and found.kind == "AWS::IAM::Role" and found.resource != "ReprocessRole"
        for action in found.actions
    }
