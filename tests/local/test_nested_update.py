"""Attributes of resources that the update of a nested stack leaves as they are."""

from collections.abc import Iterator

import pytest
from ministack.services.cloudformation import _stacks, provisioners

from local.additions.cloudformation import nested_update

UNCHANGED = {"Description": "data"}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A nested stack with a key, and the addition installed."""
    monkeypatch.setattr(provisioners, "_update_resource", provisioners._update_resource)
    nested_update.install()
    _stacks["child"] = {"_resources": {"Key": {"Attributes": {"Arn": "arn:of:the:key"}}}}
    try:
        yield "child"
    finally:
        del _stacks["child"]


def test_an_unchanged_resource_keeps_its_attributes(stack: str) -> None:
    answer = provisioners._update_resource("AWS::KMS::Key", "id", UNCHANGED, UNCHANGED, stack, "Key")

    assert answer == ("id", {"Arn": "arn:of:the:key"})


def test_attributes_that_are_handed_over_count(stack: str) -> None:
    answer = provisioners._update_resource("AWS::KMS::Key", "id", UNCHANGED, UNCHANGED, stack, "Key", {"Arn": "given"})

    assert answer == ("id", {"Arn": "given"})


def test_a_resource_that_nobody_remembers_has_none(stack: str) -> None:
    answer = provisioners._update_resource("AWS::KMS::Key", "id", UNCHANGED, UNCHANGED, stack, "Other")

    assert answer == ("id", {})
