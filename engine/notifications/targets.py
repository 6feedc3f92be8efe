"""Targets of notifications, and whom a message may be sent to: never this machine or its network unless told so."""

import ipaddress
import socket
from dataclasses import dataclass
from enum import Enum

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Shared address space and benchmarks, which `is_global` of some versions of Python lets through.
_INNER = tuple(map(ipaddress.ip_network, ("100.64.0.0/10", "198.18.0.0/15", "fd00::/8", "fe80::/10")))


class MessageFormat(Enum):
    """How a message is written."""

    S3 = "s3"
    CLOUD_EVENTS = "cloudevents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where messages go. `secret` signs them; `allows_private`: the operator says that an inner address is meant."""

    name: str
    url: str
    secret: bytes
    format: MessageFormat = MessageFormat.S3
    allows_private: bool = False
    timeout_s: float = 10.0


class ForbiddenAddress(OSError):
    """A name that stands for an address nobody may be made to call."""


def is_public(address: IpAddress) -> bool:
    """Whether an address is one of the whole internet, seen through what wraps IPv4 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    if any(address.version == each.version and address in each for each in _INNER):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def resolve(host: str, port: int, *, allows_private: bool) -> str:
    """The one address to connect to: nobody asks for the name again, so that it cannot mean another one then.

    Raises ForbiddenAddress when any of the name's addresses is an inner one, OSError when it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(each[4][0]) for each in found]
    if not allows_private:
        for text in addresses:
            if not is_public(ipaddress.ip_address(text.partition("%")[0])):
                raise ForbiddenAddress(
                    f"{host} is at {text}, which is no public address; allow_private in the configuration permits it"
                )
    return addresses[0]
