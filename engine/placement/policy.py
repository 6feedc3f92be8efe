"""The choice of backends for one blob's pieces: distinct failure domains, room, state, and an order of preference."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from engine.errors import BackendsUnavailable, NoSpaceAnywhere, NotEnoughDomains
from engine.placement.health import Health


class Routing(Enum):
    """In which order backends are filled: one after the other, or the emptiest first."""

    PACK = "pack"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend as placement sees it.

    `is_active` is its state in the database; `free_bytes` is null when nothing limits it, `capacity_bytes` likewise.
    """

    backend_id: int
    failure_domain: str
    is_active: bool
    health: Health
    used_bytes: int
    free_bytes: int | None
    capacity_bytes: int | None

    @property
    def free_fraction(self) -> float:
        """From 0, full, to 1, empty or without limit."""
        if self.free_bytes is None or not self.capacity_bytes:
            return 1.0 if self.free_bytes is None else 0.0
        return max(0.0, self.free_bytes / self.capacity_bytes)

    def has_room(self, size_bytes: int) -> bool:
        return self.free_bytes is None or self.free_bytes >= size_bytes


def choose(
    candidates: Sequence[Candidate],
    *,
    count: int,
    size_bytes: int,
    routing: Routing,
    failed: Collection[int] = (),
    full: Collection[int] = (),
    taken_domains: Collection[str] = (),
) -> list[Candidate]:
    """Choose `count` backends for pieces of `size_bytes`, best first, no two in one failure domain.

    `failed` and `full` are ids of backends that were tried for these bytes already, `taken_domains` hold pieces of the
    blob. A suspected backend is the last choice; a failed one is none. Raises NotEnoughDomains when the deployment
    could not do it on its best day, BackendsUnavailable when it could but for what is down now, NoSpaceAnywhere when
    only room is missing.
    """
    active = [each for each in candidates if each.is_active and each.failure_domain not in taken_domains]
    roomy = [each for each in active if each.has_room(size_bytes) and each.backend_id not in full]
    usable = [each for each in roomy if each.health is not Health.FAILED and each.backend_id not in failed]

    chosen = _one_a_domain(_in_order(usable, routing))
    if len(chosen) >= count:
        return chosen[:count]
    if _domain_count(active) < count:
        raise NotEnoughDomains(wanted_count=count, domain_count=_domain_count(active))
    if _domain_count(roomy) < count:
        raise NoSpaceAnywhere(wanted_bytes=size_bytes)
    raise BackendsUnavailable(f"{len(chosen)} of {count} failure domains can take pieces now")


def _in_order(usable: Sequence[Candidate], routing: Routing) -> list[Candidate]:
    if routing is Routing.PACK:
        return sorted(usable, key=lambda each: (each.health.rank, each.backend_id))
    return sorted(
        usable,
        # Without limits every fraction is 1, and the bytes in use decide.
        key=lambda each: (each.health.rank, -each.free_fraction, each.used_bytes, each.backend_id),
    )


def _one_a_domain(ordered: Sequence[Candidate]) -> list[Candidate]:
    best: dict[str, Candidate] = {}
    for each in ordered:
        best.setdefault(each.failure_domain, each)
    return list(best.values())


def _domain_count(candidates: Sequence[Candidate]) -> int:
    return len({each.failure_domain for each in candidates})
