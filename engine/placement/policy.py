"""The choice of backends for one blob's pieces: distinct failure domains, room, state, and an order of preference."""

import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from engine.errors import BackendsUnavailable, NoSpaceAnywhere, NotEnoughDomains
from engine.placement.health import Health
from engine.records import PLAIN_TERMS, BackendRow, BackendState, BackendTerms


class Routing(Enum):
    """In which order backends are filled: as they were made, the emptiest first, by weight, or the cheapest first."""

    PACK = "pack"
    SPREAD = "spread"
    WEIGHTED = "weighted"
    COST = "cost"


_TRUSTED = frozenset({Health.HEALTHY, Health.DEGRADED})
"""With new pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend as placement sees it.

    `is_active` is its state in the database; `free_bytes` is null when nothing limits it, `capacity_bytes` likewise.
    `is_over_limit`: what may be used of it this month does not suffice for the piece.
    """

    backend_id: int
    failure_domain: str
    is_active: bool
    health: Health
    used_bytes: int
    free_bytes: int | None
    capacity_bytes: int | None
    terms: BackendTerms = PLAIN_TERMS
    is_over_limit: bool = False

    @property
    def free_fraction(self) -> float:
        """From 0, full, to 1, empty or without limit."""
        if self.free_bytes is None or not self.capacity_bytes:
            return 1.0 if self.free_bytes is None else 0.0
        return max(0.0, self.free_bytes / self.capacity_bytes)

    def has_room(self, size_bytes: int) -> bool:
        if self.is_over_limit or (self.free_bytes is not None and self.free_bytes < size_bytes):
            return False
        return self.terms.object_bytes_max is None or self.terms.object_bytes_max >= size_bytes


def candidate_of(
    row: BackendRow,
    *,
    limit_bytes: int | None,
    occupied_bytes: int,
    health: Health,
    is_over_limit: bool = False,
) -> Candidate:
    """A backend by its row and its account. `occupied_bytes` counts all that is there, or was promised to be.

    One that took no trial write is suspected at least, however well it is read.
    """
    if row.write_problem is not None and health in _TRUSTED:
        health = Health.SUSPECTED
    return Candidate(
        backend_id=row.backend_id,
        failure_domain=row.failure_domain,
        is_active=row.state is BackendState.ACTIVE,
        # It counts among what there is on a better day: whoever must wait for it is told to come again.
        health=health if row.is_registered else Health.FAILED,
        used_bytes=occupied_bytes,
        free_bytes=None if limit_bytes is None else limit_bytes - occupied_bytes,
        capacity_bytes=limit_bytes,
        terms=row.terms,
        is_over_limit=is_over_limit,
    )


def choose(
    candidates: Sequence[Candidate],
    *,
    count: int,
    size_bytes: int,
    routing: Routing,
    key: bytes = b"",
    failed: Collection[int] = (),
    full: Collection[int] = (),
    taken_domains: Collection[str] = (),
) -> list[Candidate]:
    """Choose `count` backends for pieces of `size_bytes`, best first, no two in one failure domain.

    `key` names the blob: by it weighted routing draws lots. `failed` and `full` are ids of backends that were tried for
    these bytes already, `taken_domains` hold pieces of the blob. A degraded backend is the last choice; a suspected or
    failed one is none. Raises NotEnoughDomains when the deployment could not do it on its best day, BackendsUnavailable
    when it could but for what is down now, NoSpaceAnywhere when only room is missing.
    """
    active = [each for each in candidates if each.is_active and each.failure_domain not in taken_domains]
    roomy = [each for each in active if each.has_room(size_bytes) and each.backend_id not in full]
    usable = [each for each in roomy if each.health in _TRUSTED and each.backend_id not in failed]

    chosen = _one_a_domain(_in_order(usable, routing, size_bytes, key))
    if len(chosen) >= count:
        return chosen[:count]
    if _domain_count(active) < count:
        raise NotEnoughDomains(wanted_count=count, domain_count=_domain_count(active))
    if _domain_count(roomy) < count:
        raise NoSpaceAnywhere(wanted_bytes=size_bytes)
    raise BackendsUnavailable(f"{len(chosen)} of {count} failure domains can take pieces now")


def _in_order(usable: Sequence[Candidate], routing: Routing, size_bytes: int, key: bytes) -> list[Candidate]:
    match routing:
        case Routing.PACK:
            return sorted(usable, key=lambda each: (each.health.rank, each.backend_id))
        case Routing.WEIGHTED:
            return sorted(usable, key=lambda each: (each.health.rank, -_draw(each, key), each.backend_id))
        case Routing.COST:
            return sorted(
                usable,
                key=lambda each: (each.health.rank, each.terms.cost_of(size_bytes), *_emptiest(each)),
            )
        case Routing.SPREAD:
            return sorted(usable, key=lambda each: (each.health.rank, *_emptiest(each)))


def _emptiest(candidate: Candidate) -> tuple[float, int, int]:
    # Without limits every fraction is 1, and the bytes in use decide.
    return -candidate.free_fraction, candidate.used_bytes, candidate.backend_id


def _draw(candidate: Candidate, key: bytes) -> float:
    """The lot of a backend for a blob; the highest wins, in proportion to the weights.

    Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005): a backend that
    comes or goes changes the choice for no blob but those it wins or had won.
    """
    digest = hashlib.blake2b(key, digest_size=8, salt=candidate.backend_id.to_bytes(8, "big")).digest()
    # Never 0 and never 1, where the logarithm has no use.
    fraction = ((int.from_bytes(digest, "big") >> 11) + 0.5) / (1 << 53)
    return candidate.terms.weight / -math.log(fraction)


def _one_a_domain(ordered: Sequence[Candidate]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for each in ordered:
        best.setdefault(each.failure_domain, each)
    return list(best.values())


def _domain_count(candidates: Sequence[Candidate]) -> int:
    return len({each.failure_domain for each in candidates})
