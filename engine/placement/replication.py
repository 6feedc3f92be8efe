"""The scheme copies(n): how many pieces a blob gets and how many must stand before it may be named."""

from engine.errors import NotEnoughDomains
from engine.records import Scheme


def piece_count(scheme: Scheme) -> int:
    """Pieces of one blob, each in a failure domain of its own."""
    return scheme.count


def quorum_count(scheme: Scheme, write_quorum: int | None) -> int:
    """Pieces that must stand before the commit; null asks for all of them."""
    return scheme.count if write_quorum is None else max(1, min(write_quorum, scheme.count))


def check_domains(scheme: Scheme, *, domain_count: int) -> None:
    """Refuse a scheme that the deployment has too few failure domains for; raises NotEnoughDomains."""
    if scheme.count > domain_count:
        raise NotEnoughDomains(wanted_count=scheme.count, domain_count=domain_count)
