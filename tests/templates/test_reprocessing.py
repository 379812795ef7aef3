"""Who may do what for a reprocessing: its functions, and the people who have the policy to start it."""

import pytest

from tests.templates.test_permissions import resources_by_action
from tests.templates.traps.systems import text
from tests.templates.walking import Stack, stacks_named, statements

EXECUTIONS = {
    "states:DescribeExecution",
    "states:DescribeStateMachineForExecution",
    "states:GetExecutionHistory",
    "states:ListMapRuns",
    "states:RedriveExecution",
    "states:StopExecution",
}


RUN, STAGED, TABLE = "runs/reprocess/*", "staging/reprocess/*", "warehouse/readings/*"
CLAIMS, LEDGER, MARKS = "ledger/reprocess/claims/*", "ledger/reprocess/*", "ledger/quarantine/*"
ARCHIVE, QUARANTINE = "raw-data/*", "quarantine/*"


@pytest.mark.parametrize(
    ("role", "reads", "writes", "deletes"),
    [
        ("PlanReprocess", {ARCHIVE, RUN, "runs/compact/*", "ledger/*", TABLE}, {RUN, CLAIMS}, {CLAIMS}),
        ("RestoreObjects", {ARCHIVE, RUN}, {RUN}, set()),
        ("DecodeObjects", {ARCHIVE, QUARANTINE, MARKS, RUN}, {RUN, STAGED}, set()),
        ("PlanMerge", {RUN, TABLE}, {RUN}, set()),
        ("MergeReadings", {RUN, STAGED, TABLE}, {RUN, TABLE}, set()),
        ("CommitReprocess", {RUN, STAGED, TABLE, CLAIMS}, {RUN, TABLE, QUARANTINE, MARKS, CLAIMS}, {CLAIMS}),
        ("WriteHotTable", {RUN, STAGED}, {RUN}, set()),
        ("ReportReprocess", {RUN, STAGED, TABLE, LEDGER}, {RUN, LEDGER, MARKS}, {CLAIMS}),
        (
            "UndoReprocess",
            {RUN, TABLE, LEDGER, MARKS},
            {RUN, TABLE, LEDGER},
            {CLAIMS, MARKS, QUARANTINE},
        ),
    ],
)
def test_a_step_reads_writes_and_deletes_nothing_but_what_is_its_own(
    role: str, reads: set[str], writes: set[str], deletes: set[str]
) -> None:
    """The table's pointer aside, which only a commit and an undo move, and a commit makes."""
    allowed = resources_by_action("reprocessing", f"{role}Role")
    keys = {
        action: {text(arn).split("}/")[1] for arn in allowed.get(f"s3:{action}Object", [])}
        for action in ("Get", "Put", "Delete")
    }

    assert keys == {"Get": reads, "Put": writes, "Delete": deletes}
    assert ("glue:UpdateTable" in allowed) is (role in ("CommitReprocess", "UndoReprocess"))
    assert ("glue:CreateTable" in allowed) is (role == "CommitReprocess")
    assert ("dynamodb:PutItem" in allowed) is (role == "WriteHotTable")
    assert ("sns:Publish" in allowed) is (role == "ReportReprocess")
    assert ("s3:RestoreObject" in allowed) is (role == "RestoreObjects")


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
        "s3:::${Bucket}/ledger/reprocess/*": {"s3:GetObject"},
        "s3:::${Bucket}": {"s3:ListBucket"},
        "*": {"cloudformation:DescribeStacks", "cloudformation:ListStacks"},
    }
    assert [one.conditions["s3:prefix"] for one in said if "s3:ListBucket" in one.actions] == [[RUN, LEDGER]]
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
