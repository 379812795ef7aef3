"""Finding the deployed stack."""

from collections.abc import Iterator

import pytest

from ops import stack
from ops.errors import OpsError
from tests.lake import Lake, client
from tests.ops.deployment import deploy

OUTPUTS = dict.fromkeys(stack.NEEDED, "value")


@pytest.fixture
def stacks(lake: Lake) -> Iterator[list[str]]:
    names = [f"{name}-{lake.database}".replace("_", "-") for name in ("one", "two", "nested", "foreign")]
    deploy(names[0], OUTPUTS | {"Name": "one"})
    deploy(names[1], OUTPUTS)
    deploy(names[2], {"RawBucketName": "value"})
    deploy(names[3], OUTPUTS, managed_by="somebody")
    yield names
    for name in names:
        client("cloudformation").delete_stack(StackName=name)


def test_the_root_stacks_are_found_by_tag_and_outputs_and_one_is_chosen_by_name(stacks: list[str]) -> None:
    one, two, nested, foreign = stacks

    assert stack.find(one).outputs["Name"] == "one"
    with pytest.raises(OpsError, match=r"Several stacks .* Choose one with --stack") as several:
        stack.find(None)
    assert one in str(several.value)
    assert two in str(several.value)
    for name in (nested, foreign):
        with pytest.raises(OpsError, match=f"No deployed stack '{name}'"):
            stack.find(name)


def test_without_a_stack_the_way_to_one_is_said(lake: Lake) -> None:
    with pytest.raises(OpsError, match=r"No deployed stack with the tag ManagedBy=sensorkeep .*build\.py"):
        stack.find(None)


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_either_variable_sets_the_region(lake: Lake, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, "eu-west-1")

    with pytest.raises(OpsError, match="in eu-west-1; there is: none"):
        stack.find(None)


def test_without_a_region_the_variable_to_set_is_said(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    with pytest.raises(OpsError, match="Set AWS_REGION"):
        stack.find(None)


def test_without_credentials_how_to_have_some_is_said(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")

    with pytest.raises(OpsError, match=r"no AWS credentials\. Set AWS_PROFILE"):
        stack.find(None)
