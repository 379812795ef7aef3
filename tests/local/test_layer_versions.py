"""What a rollback finds of the layer versions that an update has replaced."""

from collections.abc import Iterator

import pytest
from ministack.core.responses import request_scope
from ministack.services.cloudformation import provisioners

from local.additions.cloudformation import layer_versions, nested_stacks
from local.additions.cloudformation.layer_versions import TYPE

OLD, NEW = ({"LayerName": "packages", "Description": text} for text in ("old", "new"))


@pytest.fixture
def layers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict]:
    """What CloudFormation does with layer versions, in a region of the test's own."""
    monkeypatch.setitem(provisioners._RESOURCE_HANDLERS, TYPE, provisioners._RESOURCE_HANDLERS[TYPE])
    layer_versions.install()
    with request_scope("000000000002", "eu-central-1"):
        yield provisioners._RESOURCE_HANDLERS[TYPE]


@pytest.fixture
def replaced(layers) -> list[str]:
    """The ARNs of a version and of the one that an update has put in its place."""
    old, new = (layers["create"]("Packages", properties, "layers")[0] for properties in (OLD, NEW))
    layers["delete"](old, OLD)
    return [old, new]


@pytest.fixture
def rollback() -> Iterator[None]:
    token = nested_stacks._kept.set(frozenset())
    yield
    nested_stacks._kept.reset(token)


def test_a_rollback_has_the_replaced_version_back_under_its_number(layers, replaced, rollback):
    old, new = replaced

    assert layers["create"]("Packages", OLD, "layers") == (old, {"LayerVersionArn": old, "Arn": old})
    layers["delete"](new, NEW)

    assert [version["LayerVersionArn"] for version in layer_versions._versions(OLD)] == [old]


def test_a_rollback_publishes_what_was_never_there(layers, replaced, rollback):
    other = {**OLD, "Description": "other"}

    assert layers["create"]("Packages", other, "layers")[0] not in replaced


def test_an_update_that_brings_old_packages_back_publishes_a_version_of_its_own(layers, replaced):
    assert layers["create"]("Packages", OLD, "layers")[0] not in replaced
