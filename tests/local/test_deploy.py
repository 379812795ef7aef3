"""Deploying against a CloudFormation that is told what to answer."""

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local import deploy

ROOT = "arn:aws:cloudformation:eu-central-1:000000000000:stack/root/1"
CHILD = "arn:aws:cloudformation:eu-central-1:000000000000:stack/child/2"


class CloudFormation:
    """Answers from scripts: a list of stack statuses to go through, the change set's fate, and events."""

    def __init__(self, *statuses: str | None, refusal: str = "") -> None:
        self.statuses = list(statuses)
        self.refusal = refusal
        self.events: dict[str, list[dict[str, Any]]] = {}
        self.coming: dict[str, list[dict[str, Any]]] = {}
        self.calls: list[str] = []
        self.change_set: dict[str, Any] = {}

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "Stack does not exist"}}, "Describe")
        return {"Stacks": [{"StackStatus": status, "Outputs": [{"OutputKey": "Name", "OutputValue": "value"}]}]}

    def create_change_set(self, **request: Any) -> Any:
        self.calls.append("create")
        self.change_set = request
        return {"Id": "change-set"}

    def describe_change_set(self, ChangeSetName: str) -> Any:  # noqa: N803
        return {"Status": "FAILED" if self.refusal else "CREATE_COMPLETE", "StatusReason": self.refusal}

    def execute_change_set(self, **_: Any) -> None:
        self.calls.append("execute")
        self.events = self.coming

    def delete_change_set(self, **_: Any) -> None:
        self.calls.append("forget")

    def delete_stack(self, **_: Any) -> None:
        self.calls.append("delete")

    def get_paginator(self, _: str) -> "CloudFormation":
        return self

    def paginate(self, StackName: str) -> Iterator[Any]:  # noqa: N803
        yield {"StackEvents": list(reversed(self.events.get(StackName, [])))}


def event(stack: str, logical_id: str, status: str, type_: str = "AWS::SNS::Topic", **more: str) -> dict[str, Any]:
    identity = f"{stack}{logical_id}{status}"
    when = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
    fields = {"LogicalResourceId": logical_id, "ResourceType": type_, "ResourceStatus": status, "StackId": stack}
    return {"EventId": identity, "Timestamp": when, "PhysicalResourceId": logical_id, **fields, **more}


def nested(status: str) -> dict[str, Any]:
    return event(ROOT, "Ingest", status, deploy.NESTED, PhysicalResourceId=CHILD)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "POLL_S", 0)


def run(cloudformation: CloudFormation) -> list[deploy.Event]:
    events: list[deploy.Event] = []
    assert deploy.deploy(cloudformation, "root", "{}", {"Owner": "us"}, events.append) == {"Name": "value"}
    return events


def test_a_new_stack_is_created_and_tagged() -> None:
    cloudformation = CloudFormation(None, None, "CREATE_COMPLETE")

    run(cloudformation)

    assert cloudformation.change_set["ChangeSetType"] == "CREATE"
    assert cloudformation.change_set["Tags"] == [{"Key": "Owner", "Value": "us"}]


def test_a_stack_that_is_there_is_updated() -> None:
    cloudformation = CloudFormation("CREATE_COMPLETE")

    run(cloudformation)

    assert cloudformation.change_set["ChangeSetType"] == "UPDATE"


@pytest.mark.parametrize(
    "reason", ["The submitted information didn't contain changes.", "No updates are to be performed."]
)
def test_nothing_to_change_is_fine(reason: str) -> None:
    cloudformation = CloudFormation("UPDATE_COMPLETE", refusal=reason)

    assert run(cloudformation) == []
    assert cloudformation.calls == ["create", "forget"]


def test_a_change_set_that_is_refused_says_why() -> None:
    cloudformation = CloudFormation("UPDATE_COMPLETE", refusal="Template error: no such function")

    with pytest.raises(
        deploy.DeployError, match="The change set of root was refused: Template error: no such function"
    ):
        run(cloudformation)


def test_a_deployment_that_is_under_way_is_waited_for() -> None:
    cloudformation = CloudFormation("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE")

    run(cloudformation)

    assert cloudformation.change_set["ChangeSetType"] == "UPDATE"


@pytest.mark.parametrize("state", sorted(deploy.DEAD))
def test_a_stack_that_never_came_up_is_deleted_first(state: str) -> None:
    cloudformation = CloudFormation(state, "DELETE_IN_PROGRESS", None, None, "CREATE_COMPLETE")

    run(cloudformation)

    assert cloudformation.calls == ["delete", "create", "execute"]
    assert cloudformation.change_set["ChangeSetType"] == "CREATE"


def test_an_interrupted_first_deployment_is_begun_again() -> None:
    cloudformation = CloudFormation("REVIEW_IN_PROGRESS", "REVIEW_IN_PROGRESS", "CREATE_COMPLETE")

    run(cloudformation)

    assert cloudformation.change_set["ChangeSetType"] == "CREATE"


def test_events_of_nested_stacks_are_told_under_their_name() -> None:
    cloudformation = CloudFormation(None, None, "CREATE_COMPLETE")
    own = event(CHILD, "child", "CREATE_COMPLETE", deploy.NESTED, PhysicalResourceId=CHILD)
    cloudformation.coming = {
        "root": [event(ROOT, "Topic", "CREATE_COMPLETE"), nested("CREATE_IN_PROGRESS")],
        CHILD: [event(CHILD, "Stream", "CREATE_COMPLETE"), own],
    }

    told = [(each.stack, each.logical_id) for each in run(cloudformation)]

    assert sorted(told) == [("", "Ingest"), ("", "Topic"), ("Ingest", "Stream")]


def test_what_happened_before_is_not_told_again() -> None:
    cloudformation = CloudFormation("CREATE_COMPLETE")
    cloudformation.events = {"root": [event(ROOT, "Topic", "CREATE_COMPLETE")]}
    cloudformation.coming = {"root": [*cloudformation.events["root"], event(ROOT, "Topic", "UPDATE_COMPLETE")]}

    assert [each.status for each in run(cloudformation)] == ["UPDATE_COMPLETE"]


def test_a_failure_names_the_resource_that_failed_first_wherever_it_is_nested() -> None:
    cloudformation = CloudFormation(None, None, "ROLLBACK_COMPLETE")
    cancelled = event(ROOT, "Table", "CREATE_FAILED", ResourceStatusReason="Resource creation cancelled")
    cloudformation.coming = {
        "root": [nested("CREATE_IN_PROGRESS"), cancelled, nested("CREATE_FAILED")],
        CHILD: [event(CHILD, "Stream", "CREATE_FAILED", ResourceStatusReason="Too many shards")],
    }

    expected = r"^Stream \(AWS::SNS::Topic\) in nested stack Ingest: CREATE_FAILED: Too many shards$"
    with pytest.raises(deploy.DeployError, match=expected):
        run(cloudformation)


def test_the_earliest_failure_is_named_though_its_stack_is_read_later() -> None:
    cloudformation = CloudFormation(None, None, "CREATE_IN_PROGRESS", "ROLLBACK_FAILED")
    later = event(ROOT, "Table", "DELETE_FAILED", ResourceStatusReason="Protected against deletion")
    later["Timestamp"] += datetime.timedelta(seconds=1)
    cloudformation.coming = {"root": [nested("CREATE_IN_PROGRESS"), later]}

    def read(told: deploy.Event) -> None:
        if told.logical_id == "Table":
            failed = event(CHILD, "Stream", "CREATE_FAILED", ResourceStatusReason="Too many shards")
            cloudformation.events[CHILD] = [failed]

    with pytest.raises(deploy.DeployError, match=r"^Stream .* Too many shards$"):
        deploy.deploy(cloudformation, "root", "{}", {}, read)
