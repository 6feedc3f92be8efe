"""A rehearsal of moving tells where pieces would go, and which would have no domain or no room."""

import pytest

from engine.placement.fitting import Load, Room, fit
from engine.placement.policy import Routing
from engine.records import PLAIN_TERMS, BackendTerms

GIB = 1024**3


def load(size_bytes: int, *domains: str, count: int = 1000) -> Load:
    return Load(taken_domains=frozenset(domains), piece_count=count, size_bytes=size_bytes)


def room(
    backend_id: int,
    *,
    domain: str | None = None,
    free_bytes: int | None = None,
    used_bytes: int = 0,
    disk: str | None = None,
    disk_free_bytes: int = 0,
    terms: BackendTerms = PLAIN_TERMS,
) -> Room:
    return Room(
        backend_id=backend_id,
        failure_domain=domain or f"domain-{backend_id}",
        used_bytes=used_bytes,
        free_bytes=free_bytes,
        disk=disk,
        disk_free_bytes=disk_free_bytes,
        terms=terms,
    )


def sizes(found: object) -> dict[int, int]:
    return {each.backend_id: each.size_bytes for each in found.shares}  # type: ignore[attr-defined]


def test_nothing_fits_anywhere_without_rooms_and_nothing_has_to_without_loads() -> None:
    assert fit([load(10)], [], routing=Routing.SPREAD).homeless_count == 1000
    assert fit([], [], routing=Routing.SPREAD).is_whole


@pytest.mark.parametrize("routing", list(Routing))
def test_all_pieces_and_bytes_are_handed_out_once(routing: Routing) -> None:
    found = fit([load(GIB + 7, count=12_345), load(99, "x", count=3)], [room(1), room(2)], routing=routing)

    assert found.is_whole
    assert sum(each.size_bytes for each in found.shares) == GIB + 7 + 99
    assert sum(each.piece_count for each in found.shares) == 12_348


def test_weights_share_a_load_out_and_the_cheapest_takes_what_it_has_room_for() -> None:
    rooms = [
        room(1, terms=BackendTerms(weight=3, cost_per_gib=5)),
        room(2, free_bytes=GIB // 2),
        room(3, terms=BackendTerms(weight=0, cost_per_gib=1)),
    ]

    by_weight = sizes(fit([load(GIB)], rooms, routing=Routing.WEIGHTED))
    by_cost = sizes(fit([load(GIB)], rooms, routing=Routing.COST))

    assert by_weight == {1: GIB * 3 // 4, 2: GIB // 4}
    assert by_cost == {2: GIB // 2, 3: GIB // 2}


def test_spreading_evens_out_and_packing_fills_the_first() -> None:
    rooms = [room(1, used_bytes=GIB), room(2), room(3)]

    assert sizes(fit([load(GIB)], rooms, routing=Routing.PACK)) == {1: GIB}
    spread = sizes(fit([load(GIB)], rooms, routing=Routing.SPREAD))
    assert set(spread) == {2, 3}
    assert abs(spread[2] - spread[3]) < GIB // 16


def test_pieces_do_not_go_to_a_domain_of_another_copy() -> None:
    rooms = [room(1, domain="a"), room(2, domain="b")]

    found = fit([load(100, "a"), load(50, "b"), load(7, "a", "b")], rooms, routing=Routing.SPREAD)

    assert sizes(found) == {2: 100, 1: 50}
    assert (found.homeless_count, found.homeless_bytes) == (1000, 7)
    assert not found.is_whole


def test_those_with_the_fewest_ways_out_go_first() -> None:
    rooms = [room(1, domain="a", free_bytes=100), room(2, domain="b", free_bytes=100)]

    found = fit([load(100), load(100, "a")], rooms, routing=Routing.PACK)

    assert found.is_whole
    assert sizes(found) == {2: 100, 1: 100}


def test_what_has_no_room_is_counted() -> None:
    found = fit([load(640, count=64)], [room(1, free_bytes=300)], routing=Routing.SPREAD)

    assert sizes(found) == {1: 300}
    assert (found.unfit_bytes, found.unfit_count) == (340, 34)
    assert found.shares[0].free_bytes_after == 0


def test_rooms_on_one_disk_share_what_it_has_left() -> None:
    rooms = [room(each, disk="8:1", disk_free_bytes=1000) for each in (1, 2)]

    found = fit([load(6400, count=64)], rooms, routing=Routing.SPREAD)

    assert sum(sizes(found).values()) == 1000
    assert found.unfit_bytes == 5400


def test_a_quota_below_the_disks_room_decides() -> None:
    rooms = [room(1, free_bytes=100, disk="8:1", disk_free_bytes=10_000)]

    assert sizes(fit([load(640, count=64)], rooms, routing=Routing.SPREAD)) == {1: 100}
