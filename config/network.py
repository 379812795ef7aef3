"""The section `[network]` of an environment's settings."""

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from config.fields import Model

PRIVATE = tuple(ipaddress.IPv4Network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""https://www.rfc-editor.org/rfc/rfc1918"""

LARGEST, SMALLEST = 16, 24
"""Prefix lengths. AWS has no larger network; in a smaller one the subnets, a quarter each, could run out of addresses
for the endpoints and for the network interfaces that Lambda adds under load."""

GATEWAYS = 2
"""S3 and DynamoDB have gateway endpoints, and so a prefix list each."""


def _private_block(value: str) -> str:
    try:
        block = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError("a block of IPv4 addresses like '10.0.0.0/20', beginning where the block begins") from error
    if not any(block.subnet_of(private) for private in PRIVATE):
        raise ValueError(f"must lie within {', '.join(map(str, PRIVATE))}")
    if not LARGEST <= block.prefixlen <= SMALLEST:
        raise ValueError(f"must have a prefix of /{LARGEST} to /{SMALLEST}")
    return value


PrivateBlock = Annotated[str, AfterValidator(_private_block)]
PrefixList = Annotated[str, Field(pattern=r"^pl-[0-9a-f]{8,17}$")]


class Network(Model):
    """A private network for the functions: no way in, and no way out but to the AWS services that they call."""

    enabled: bool = Field(False, description="Whether there is a network. Its endpoints cost by the hour and zone.")
    functions_attached: bool = Field(
        True,
        description="Whether the functions run in the network. To take the network down, deploy with `false` first and"
        " wait until Lambda has given its network interfaces back (up to 20 minutes).",
    )
    cidr: PrivateBlock = Field(
        "10.0.0.0/20",
        description=f"Private addresses of the network, from /{LARGEST} to /{SMALLEST}; a subnet gets a quarter of"
        " them. Another block is another network: detach the functions first.",
    )
    availability_zones: int = Field(
        2, ge=2, le=3, description="Zones that have a subnet and an interface of each endpoint."
    )
    gateway_prefix_lists: tuple[PrefixList, ...] = Field(
        (),
        description="Prefix lists of S3 and DynamoDB in the region, as `aws ec2 describe-managed-prefix-lists` names"
        " them: then functions reach no address beside those and the endpoints. Without them the firewall rule for"
        " these two services is open to any address, and the routes alone decide.",
    )

    @model_validator(mode="after")
    def _both_gateways(self) -> "Network":
        if len(set(self.gateway_prefix_lists)) not in (0, GATEWAYS):
            raise ValueError("gateway_prefix_lists needs both, that of S3 and that of DynamoDB, or none")
        return self

    @property
    def holds_functions(self) -> bool:
        """Whether functions are attached to the network."""
        return self.enabled and self.functions_attached
