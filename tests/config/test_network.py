"""Which networks the settings accept."""

import pytest
from pydantic import ValidationError

from config.network import Network


@pytest.mark.parametrize(
    "cidr", ["10.0.0.0/16", "10.255.255.0/24", "172.16.0.0/20", "172.31.240.0/20", "192.168.0.0/24"]
)
def test_a_private_block_of_a_usable_size_is_accepted(cidr):
    assert Network(cidr=cidr).cidr == cidr


@pytest.mark.parametrize(
    ("cidr", "reason"),
    [
        ("8.8.8.0/24", "must lie within"),
        ("172.32.0.0/16", "must lie within"),
        ("192.0.0.0/8", "must lie within"),
        ("10.0.0.0/8", "must have a prefix of /16 to /24"),
        ("10.0.0.0/25", "must have a prefix of /16 to /24"),
        ("10.0.0.1/20", "beginning where the block begins"),
        ("10.0.0.0", "must have a prefix"),
        ("fd00::/48", "a block of IPv4 addresses"),
        ("private", "a block of IPv4 addresses"),
    ],
)
def test_another_block_is_refused_with_the_reason(cidr, reason):
    with pytest.raises(ValidationError, match=reason):
        Network(cidr=cidr)


@pytest.mark.parametrize("zones", [1, 4])
def test_a_network_has_two_or_three_zones(zones):
    with pytest.raises(ValidationError, match="availability_zones"):
        Network(availability_zones=zones)


@pytest.mark.parametrize("lists", [["pl-6ea54007"], ["pl-6ea54007", "pl-6ea54007"], ["pl-0000000a"] * 3])
def test_both_prefix_lists_are_needed(lists):
    with pytest.raises(ValidationError, match="needs both"):
        Network(gateway_prefix_lists=lists)


def test_a_name_of_a_prefix_list_is_its_id():
    with pytest.raises(ValidationError, match="gateway_prefix_lists"):
        Network(gateway_prefix_lists=["com.amazonaws.eu-central-1.s3", "pl-6ea54007"])


@pytest.mark.parametrize(
    ("settings", "holds"),
    [({}, False), ({"enabled": True}, True), ({"enabled": True, "functions_attached": False}, False)],
)
def test_functions_are_attached_to_a_network_that_there_is(settings, holds):
    assert Network(**settings).holds_functions is holds
