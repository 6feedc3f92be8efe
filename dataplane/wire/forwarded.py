"""Who really asks: the peer of a connection, or the client that trusted proxies name in X-Forwarded-For."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REMEMBERED_COUNT = 4096
ADDRESS_CHARS_MAX = 45
CLIENT_BITS = 64
"""Of an IPv6 address: whoever has one of a network of this size has them all."""


class TrustedProxies:
    """Proxies whose word about their clients counts; nobody else's does."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)
        self._trusts = lru_cache(maxsize=REMEMBERED_COUNT)(self._is_trusted)

    def client_of(self, peer: str, forwarded: str | None) -> str:
        """The address nearest to us that is no proxy of ours, read from the right end of `forwarded`.

        `forwarded` are all X-Forwarded-For of a request, joined by commas. Where it stops making sense the last proxy
        stands for its clients. With a peer that is no trusted proxy it is not even looked at.
        """
        client = peer
        if not self._networks or forwarded is None or not self._trusts(peer):
            return client
        for each in reversed(forwarded.split(",")):
            address = read_address(each.strip(" \t"))
            if address is None:
                return client
            client = str(address)
            if not self._trusts(client):
                return client
        return client

    def _is_trusted(self, text: str) -> bool:
        address = read_address(text)
        return address is not None and any(address in network for network in self._networks)


@lru_cache(maxsize=REMEMBERED_COUNT)
def read_address(text: str) -> Address | None:
    """An address without port or zone; one of IPv4 inside IPv6 is the IPv4 one. None for anything else."""
    if not text or len(text) > ADDRESS_CHARS_MAX or "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=REMEMBERED_COUNT)
def client_network(text: str) -> str:
    """What requests of one client are counted under: an IPv4 address, or an IPv6 network of 64 bits."""
    address = read_address(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address) >> CLIENT_BITS << CLIENT_BITS, CLIENT_BITS)))
    return text if address is None else str(address)
