"""Which backends hold more than their part, and what would have to move where: sums, before a byte is moved."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.placement.policy import Routing

THRESHOLD_DEFAULT = 0.05
"""Fill that may differ from what it should be before it is worth a move."""

WORTH_MOVING = 0.25
"""Part of the threshold below which a surplus is left where it is: looking for pieces so small costs more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """How full an active backend is. `capacity_bytes` is null where nothing limits it."""

    backend_id: int
    used_bytes: int
    capacity_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """So many bytes from one backend to another."""

    source_id: int
    target_id: int
    size_bytes: int


def fractions(fills: Sequence[Fill]) -> dict[int, float]:
    """How full each is, from 0 to 1; one without a limit could hold as much as all hold together."""
    return {each.backend_id: each.used_bytes / capacity for each, capacity in _with_capacities(fills)}


def level(fills: Sequence[Fill]) -> float:
    """How full all would be if they were equally so."""
    capacities = sum(capacity for _, capacity in _with_capacities(fills))
    return sum(each.used_bytes for each in fills) / capacities if capacities else 0.0


def plan_moves(fills: Sequence[Fill], *, strategy: Routing, threshold: float) -> list[Move]:
    """What is to be moved, the most first; nothing when all are within the threshold.

    Packing fills those that were made first up to the threshold below their end, and empties the last ones.
    """
    if strategy is Routing.SPREAD:
        return _even_out(fills, threshold)
    return _pack(fills, threshold)


def _even_out(fills: Sequence[Fill], threshold: float) -> list[Move]:
    target = level(fills)
    held = fractions(fills)
    if all(abs(fraction - target) <= threshold for fraction in held.values()):
        return []
    surplus: dict[int, int] = {}
    room: dict[int, int] = {}
    for each, capacity in _with_capacities(fills):
        over = int(each.used_bytes - target * capacity)
        if over < 0:
            room[each.backend_id] = -over
        elif over > threshold * capacity * WORTH_MOVING:
            surplus[each.backend_id] = over
    return _match(surplus, room)


def _pack(fills: Sequence[Fill], threshold: float) -> list[Move]:
    ordered = sorted(_with_capacities(fills), key=lambda each: each[0].backend_id)
    room = {
        each.backend_id: max(0, int(capacity * (1 - threshold)) - each.used_bytes)
        for each, capacity in ordered
    }
    left = {each.backend_id: each.used_bytes for each, _ in ordered}
    moves = []
    for source, _ in reversed(ordered):
        for target, _ in ordered:
            if target.backend_id >= source.backend_id:
                break
            size_bytes = min(left[source.backend_id], room[target.backend_id])
            if size_bytes > 0:
                moves.append(
                    Move(source_id=source.backend_id, target_id=target.backend_id, size_bytes=size_bytes)
                )
                left[source.backend_id] -= size_bytes
                room[target.backend_id] -= size_bytes
    return moves


def _match(surplus: dict[int, int], room: dict[int, int]) -> list[Move]:
    """Whoever has most to give gives to whoever has most room."""
    moves = []
    while any(surplus.values()) and any(room.values()):
        source_id = max(surplus, key=lambda each: surplus[each])
        target_id = max(room, key=lambda each: room[each])
        size_bytes = min(surplus[source_id], room[target_id])
        moves.append(Move(source_id=source_id, target_id=target_id, size_bytes=size_bytes))
        surplus[source_id] -= size_bytes
        room[target_id] -= size_bytes
    return moves


def _with_capacities(fills: Sequence[Fill]) -> list[tuple[Fill, int]]:
    total = max(1, sum(each.used_bytes for each in fills))
    return [(each, max(1, total if each.capacity_bytes is None else each.capacity_bytes)) for each in fills]
