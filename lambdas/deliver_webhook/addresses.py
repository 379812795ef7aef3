"""Which addresses an alert may be sent to.

Whoever names a receiver must not make this function knock at what only it can reach: metadata services, private
networks, itself. The rule is about addresses and not about names, because a name can mean another address a moment
later (https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html).
"""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PRIVATE: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "fc00::/7",
        "::1/128",
    )
)
"""Networks of one's own (RFC 1918, 4193, 6598) and this machine: allowed only where the settings say so."""

GLOBAL_UNICAST: Final = ipaddress.ip_network("2000::/3")  # all that IANA gives out of IPv6
NEVER: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "2001::/32",  # Teredo and 6to4 carry an IPv4 address inside
        "2002::/16",
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "fd00:ec2::/32",  # metadata and other services that EC2 offers to a machine alone
    )
)
"""Networks that look like others that are allowed."""


class AddressRefusedError(Exception):
    """A receiver at an address that alerts must not go to; the message names the host and the addresses."""


def is_allowed(text: str, allow_private: bool) -> bool:
    """Whether alerts may go to the address. Multicast, link-local, unspecified and reserved ones are never allowed."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in NEVER):
        return False
    if any(address in network for network in PRIVATE):
        return allow_private
    if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def resolve(host: str, port: int, allow_private: bool) -> list[str]:
    """The allowed addresses of a host, looked up once, as the resolver ordered them.

    Raises AddressRefusedError when it has others only, and OSError when it is not found.
    """
    found: Sequence[tuple[object, ...]] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))  # type: ignore[index]
    if allowed := [address for address in addresses if is_allowed(address, allow_private)]:
        return allowed
    raise AddressRefusedError(
        f"{host} is at {', '.join(addresses)}, where no alert is sent."
        " Give a public address, or set alerts.webhook.allow_private_addresses for one of your own network."
    )
