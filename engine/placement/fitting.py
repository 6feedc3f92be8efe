"""Whether pieces that have to go somewhere would fit: a rehearsal with sums, before a byte is moved."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.placement.policy import Routing
from engine.records import PLAIN_TERMS, BackendTerms

PART_COUNT = 64
"""A load is handed out in so many parts, so that several rooms share it as they would piece by piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Pieces of blobs whose other pieces lie in `taken_domains`."""

    taken_domains: frozenset[str]
    piece_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A backend that takes pieces. `free_bytes` is null without a limit; those that share a `disk` share its room."""

    backend_id: int
    failure_domain: str
    used_bytes: int
    free_bytes: int | None
    disk: str | None = None
    disk_free_bytes: int = 0
    terms: BackendTerms = PLAIN_TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What would come to a backend, and what room would be left there; null: no limit is known."""

    backend_id: int
    piece_count: int
    size_bytes: int
    free_bytes_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Who would get what; `homeless` have no failure domain left, `unfit` no room in those they have."""

    shares: tuple[Share, ...]
    homeless_count: int = 0
    homeless_bytes: int = 0
    unfit_count: int = 0
    unfit_bytes: int = 0

    @property
    def is_whole(self) -> bool:
        return self.homeless_count == 0 and self.unfit_bytes == 0


def fit(loads: Sequence[Load], rooms: Sequence[Room], *, routing: Routing) -> Fit:
    """Hand loads out as routing would, those with the fewest domains to go to first."""
    filling = _Filling(rooms)
    homeless_count = homeless_bytes = unfit_count = unfit_bytes = 0
    open_to = {load.taken_domains: _open_to(load, rooms) for load in loads}
    for load in sorted(loads, key=lambda each: len(open_to[each.taken_domains])):
        if not open_to[load.taken_domains]:
            homeless_count += load.piece_count
            homeless_bytes += load.size_bytes
            continue
        for piece_count, size_bytes in _parts(load):
            room = filling.best(open_to[load.taken_domains], piece_count, size_bytes, routing)
            if room is None:
                unfit_count += piece_count
                unfit_bytes += size_bytes
            else:
                filling.put(room, piece_count, size_bytes)
    return Fit(
        shares=filling.shares(),
        homeless_count=homeless_count,
        homeless_bytes=homeless_bytes,
        unfit_count=unfit_count,
        unfit_bytes=unfit_bytes,
    )


class _Filling:
    """Rooms as they fill up."""

    def __init__(self, rooms: Sequence[Room]) -> None:
        self._rooms = rooms
        self._given: dict[int, tuple[int, int]] = {}
        self._on_disk: dict[str, int] = {}

    def best(self, rooms: Sequence[Room], piece_count: int, size_bytes: int, routing: Routing) -> Room | None:
        roomy = [(room, self._free(room)) for room in rooms]
        fitting = [(room, free) for room, free in roomy if free is None or free >= size_bytes]
        if not fitting:
            return None
        match routing:
            case Routing.PACK:
                return min(fitting, key=lambda each: each[0].backend_id)[0]
            case Routing.WEIGHTED:
                return min(fitting, key=lambda each: self._burden(each[0], size_bytes))[0]
            case Routing.COST:
                piece_bytes = size_bytes // max(1, piece_count)
                return min(
                    fitting,
                    key=lambda each: (each[0].terms.cost_of(piece_bytes), -self._free_fraction(*each)),
                )[0]
            case Routing.SPREAD:
                return min(fitting, key=lambda each: (-self._free_fraction(*each), self._used(each[0])))[0]

    def put(self, room: Room, piece_count: int, size_bytes: int) -> None:
        count, given = self._given.get(room.backend_id, (0, 0))
        self._given[room.backend_id] = (count + piece_count, given + size_bytes)
        if room.disk is not None:
            self._on_disk[room.disk] = self._on_disk.get(room.disk, 0) + size_bytes

    def shares(self) -> tuple[Share, ...]:
        return tuple(
            Share(
                backend_id=room.backend_id,
                piece_count=self._given[room.backend_id][0],
                size_bytes=self._given[room.backend_id][1],
                free_bytes_after=self._free(room),
            )
            for room in self._rooms
            if room.backend_id in self._given
        )

    def _burden(self, room: Room, size_bytes: int) -> float:
        """What would have come to it, by its weight: drawing lots piece by piece keeps this even."""
        given_bytes = self._given.get(room.backend_id, (0, 0))[1] + size_bytes
        return given_bytes / room.terms.weight if room.terms.weight else math.inf

    def _used(self, room: Room) -> int:
        return room.used_bytes + self._given.get(room.backend_id, (0, 0))[1]

    def _free(self, room: Room) -> int | None:
        limits = []
        if room.free_bytes is not None:
            limits.append(room.free_bytes - self._given.get(room.backend_id, (0, 0))[1])
        if room.disk is not None:
            limits.append(room.disk_free_bytes - self._on_disk.get(room.disk, 0))
        return min(limits, default=None)

    def _free_fraction(self, room: Room, free_bytes: int | None) -> float:
        """Of a limit of its own, as placing sees it: a disk that is shared says nothing about one of its users."""
        if room.free_bytes is None or free_bytes is None:
            return 1.0
        return free_bytes / max(1, self._used(room) + free_bytes)


def _open_to(load: Load, rooms: Sequence[Room]) -> list[Room]:
    return [room for room in rooms if room.failure_domain not in load.taken_domains]


def _parts(load: Load) -> Iterator[tuple[int, int]]:
    part_count = min(PART_COUNT, load.piece_count)
    for index in range(part_count):
        yield (
            load.piece_count * (index + 1) // part_count - load.piece_count * index // part_count,
            load.size_bytes * (index + 1) // part_count - load.size_bytes * index // part_count,
        )
