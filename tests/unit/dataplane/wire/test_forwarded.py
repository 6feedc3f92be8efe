"""The word of trusted proxies about their clients counts, and nobody else's."""

from ipaddress import ip_network

import pytest

from dataplane.wire.forwarded import TrustedProxies, client_network

PROXIES = TrustedProxies([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        # What the client wrote itself stands further left than what our proxies added.
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1,203.0.113.9 , 10.9.9.9", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        # Where it stops making sense, the last proxy stands for its client.
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, ,10.0.0.7", "10.0.0.7"),
        ("10.0.0.1", "203.0.113.9:80", "10.0.0.1"),
        ("10.0.0.1", '203.0.113.9","status":200', "10.0.0.1"),
        # From everybody else it is ignored.
        ("203.0.113.50", "10.0.0.1", "203.0.113.50"),
        ("203.0.113.50", "198.51.100.1", "203.0.113.50"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_client_is_who_the_last_trusted_proxy_saw(peer: str, forwarded: str | None, client: str) -> None:
    assert PROXIES.client_of(peer, forwarded) == client


def test_without_trusted_proxies_the_peer_is_the_client() -> None:
    assert TrustedProxies([]).client_of("10.0.0.1", "203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("a socket", "a socket"),
    ],
)
def test_one_client_is_counted_once_whatever_address_of_its_own_it_uses(address: str, network: str) -> None:
    assert client_network(address) == network
