"""Which addresses alerts may go to."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliver_webhook import addresses
from deliver_webhook.addresses import AddressRefusedError, is_allowed, resolve

OF_ONES_OWN = ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1", "127.9.9.9", "::1"]
OF_ONES_OWN += ["fd00::1", "fc00::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1"]
NEVER = ["169.254.169.254", "169.254.79.129", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::"]  # noqa: S104 - what is refused
NEVER += ["224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"]
NEVER += ["2001:db8::1", "::ffff:169.254.169.254", "::ffff:0:0", "::127.0.0.1", "64:ff9b::10.0.0.1", "fec0::1"]
NEVER += ["fd00:ec2::254", "fd00:ec2::253", "192.88.99.1"]
NEVER += ["2002:a00:1::", "2001:0:a00:1::", "0.1.2.3", "100::1"]
PUBLIC = ["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("allow_private", [True, False])
def test_a_public_address_is_allowed(address, allow_private):
    assert is_allowed(address, allow_private)


@pytest.mark.parametrize("address", OF_ONES_OWN)
def test_an_address_of_ones_own_network_is_allowed_only_where_the_settings_say_so(address):
    assert not is_allowed(address, allow_private=False)
    assert is_allowed(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("allow_private", [True, False])
def test_an_address_that_no_receiver_has_is_never_allowed(address, allow_private):
    assert not is_allowed(address, allow_private)


@given(st.ip_addresses(v=4))
def test_an_address_in_the_form_of_ipv6_is_judged_as_what_it_is(address):
    for allow_private in (True, False):
        assert is_allowed(f"::ffff:{address}", allow_private) == is_allowed(str(address), allow_private)


@given(st.ip_addresses())
def test_what_is_allowed_without_a_word_can_be_routed_to_everywhere(address):
    if is_allowed(str(address), allow_private=False):
        judged = getattr(address, "ipv4_mapped", None) or address
        assert judged.is_global
        assert not judged.is_multicast
        assert not judged.is_link_local
        assert not judged.is_loopback
        assert not judged.is_private


@given(st.ip_addresses())
def test_the_word_of_the_settings_takes_nothing_away(address):
    assert is_allowed(str(address), allow_private=True) >= is_allowed(str(address), allow_private=False)


@pytest.fixture
def host(monkeypatch):
    """Lets a host have addresses."""

    def has(*found: str) -> None:
        def look_up(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
            family = {4: socket.AF_INET, 6: socket.AF_INET6}
            return [
                (family[ipaddress.ip_address(one).version], socket.SOCK_STREAM, 6, "", (one, port)) for one in found
            ]

        monkeypatch.setattr(addresses.socket, "getaddrinfo", look_up)

    return has


def test_a_host_is_reached_at_its_allowed_addresses_only(host):
    host("10.0.0.1", "93.184.216.34", "169.254.169.254", "2606:4700::1111", "93.184.216.34")

    assert resolve("example.com", 443, allow_private=False) == ["93.184.216.34", "2606:4700::1111"]


def test_a_host_without_an_allowed_address_is_refused_with_what_can_be_done(host):
    host("10.0.0.1", "::1")

    with pytest.raises(AddressRefusedError, match=r"example\.com is at 10\.0\.0\.1, ::1, .* Give a public address"):
        resolve("example.com", 443, allow_private=False)


@pytest.mark.parametrize("written", ["127.1", "0x7f.0.0.1", "2130706433"])
def test_an_address_in_another_notation_is_seen_through(written):
    with pytest.raises(AddressRefusedError, match=r"is at 127\.0\.0\.1"):
        resolve(written, 443, allow_private=False)
