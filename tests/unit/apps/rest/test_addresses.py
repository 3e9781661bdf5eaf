from __future__ import annotations

from ipaddress import ip_network

import pytest

from callwright.apps.rest.addresses import AddressPolicy

PUBLIC = AddressPolicy()
LOCAL = AddressPolicy(allow_loopback=True)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_address_is_allowed(address: str) -> None:
    assert PUBLIC.refusal(address) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.9", "loopback"),
        ("::1", "loopback"),
        ("[::1]", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:7f00:1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("::ffff:0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("2002:c0a8:101::1", "private"),
        ("fd00:ec2::254", "private"),
        ("fc00::1", "private"),
        ("169.254.169.254", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("100.64.0.1", "not a public"),
        ("100.100.100.200", "not a public"),
        ("168.63.129.16", "metadata"),
        ("192.0.0.192", ""),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", ""),
        ("240.0.0.1", ""),
        ("4000::1", ""),
        ("192.88.99.1", ""),
        ("2001::1", ""),
        ("2001:db8::1", ""),
        ("3fff::1", ""),
        ("203.0.113.7", ""),
        ("host.example", "not an IP address"),
        ("2130706433", "not an IP address"),
    ],
)
def test_address_inside_is_refused_and_the_refusal_says_why(address: str, why: str) -> None:
    refusal = PUBLIC.refusal(address)
    assert refusal is not None
    assert why in refusal


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_may_be_allowed(address: str) -> None:
    assert LOCAL.refusal(address) is None


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"])
def test_allowing_loopback_allows_nothing_else(address: str) -> None:
    assert LOCAL.refusal(address) is not None


def test_networks_of_the_operator_are_allowed_also_in_their_mapped_form() -> None:
    policy = AddressPolicy(allowed=(ip_network("10.1.0.0/16"), ip_network("fd12::/16")))
    assert policy.refusal("10.1.2.3") is None
    assert policy.refusal("::ffff:10.1.2.3") is None
    assert policy.refusal("fd12::5") is None
    assert policy.refusal("10.2.0.1") is not None
    assert policy.refusal("127.0.0.1") is not None
