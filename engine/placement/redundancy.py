"""How many copies of a blob count, how many are missing, and which of too many goes first."""

from collections.abc import Collection, Sequence
from typing import Protocol

from engine.records import Scheme


class Copy(Protocol):
    """A copy as it is judged."""

    @property
    def piece_index(self) -> int: ...

    @property
    def failure_domain(self) -> str: ...

    @property
    def is_good(self) -> bool:
        """Its bytes are known to be good, and its backend is not away."""

    @property
    def is_leaving(self) -> bool:
        """Its backend is being emptied."""

    @property
    def fill(self) -> float:
        """How full its backend is, from 0 to 1."""


def missing_count(scheme: Scheme, good_domains: Collection[str]) -> int:
    """Copies to be made; only those in failure domains of their own count."""
    return max(0, scheme.count - len(set(good_domains)))


def choose_excess(scheme: Scheme, copies: Sequence[Copy], /) -> int | None:
    """Index of the one piece that goes first; null: none may.

    Without it as many good copies are left, in domains of their own, as the scheme asks for. Bad ones go first, then
    those whose backend is being emptied, then those that share a domain with a good one, then the fullest backend's.
    """
    if len(copies) <= scheme.count:
        return None
    good = [each for each in copies if each.is_good]
    for candidate in sorted(copies, key=lambda each: _rank(each, good)):
        left = {each.failure_domain for each in good if each is not candidate}
        if len(left) >= scheme.count:
            return candidate.piece_index
    return None


def _rank(copy: Copy, good: Sequence[Copy]) -> tuple[bool, bool, bool, float, int]:
    shares = any(each.failure_domain == copy.failure_domain and each is not copy for each in good)
    return copy.is_good, not copy.is_leaving, not shares, -copy.fill, -copy.piece_index
