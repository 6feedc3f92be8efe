"""No message goes to an address of the inside, however it is written or what its name says next time."""

import ipaddress

import pytest

from engine.notifications.targets import ForbiddenAddress, is_public, resolve

INNER = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.1.1",
    "100.100.100.200", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.1", "::", "::1", "fe80::1",
    "fd00:ec2::254", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "2002:7f00:1::",
    "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("text", INNER)
def test_inner_addresses_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_others_are(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "2130706433", "127.1", "::1", "169.254.169.254"])
def test_however_it_is_written(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        resolve(host, 80, allows_private=False)


def test_unless_it_is_meant() -> None:
    assert resolve("127.0.0.1", 80, allows_private=True) == "127.0.0.1"
