"""What the fleet needs of the deployed stack."""

import pytest

from local.fleet import FleetError
from local.fleet.devices import Site

OUTPUTS = {"TopicPrefix": "a/b", "DevicePolicyName": "policy", "ThingTypeName": "type", "StreamName": "stream"}


def test_the_site_is_what_the_stack_has_for_devices() -> None:
    assert Site.of(OUTPUTS) == Site(topic_prefix="a/b", policy="policy", thing_type="type")


@pytest.mark.parametrize("missing", ["TopicPrefix", "DevicePolicyName", "ThingTypeName"])
def test_a_stack_without_what_devices_need_is_named_with_the_way_out(missing: str) -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != missing}

    with pytest.raises(FleetError, match=rf"no output '{missing}': make up"):
        Site.of(outputs)
