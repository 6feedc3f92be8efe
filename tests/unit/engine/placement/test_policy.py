"""Pieces go to distinct failure domains, into room that is there, to healthy backends first, as routing says."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BackendsUnavailable, NoSpaceAnywhere, NotEnoughDomains
from engine.placement.health import Health
from engine.placement.policy import Candidate, Routing, choose
from engine.records import PLAIN_TERMS, BackendTerms
from engine.units import GIB, KIB

SIZE = 1000


def candidate(
    backend_id: int,
    domain: str | None = None,
    *,
    is_active: bool = True,
    health: Health = Health.HEALTHY,
    used: int = 0,
    limit: int | None = None,
    terms: BackendTerms = PLAIN_TERMS,
) -> Candidate:
    return Candidate(
        backend_id=backend_id,
        failure_domain=domain or f"domain-{backend_id}",
        is_active=is_active,
        health=health,
        used_bytes=used,
        free_bytes=None if limit is None else limit - used,
        capacity_bytes=limit,
        terms=terms,
    )


def weight(share: float) -> BackendTerms:
    return BackendTerms(weight=share)


def ids(chosen: list[Candidate]) -> list[int]:
    return [each.backend_id for each in chosen]


def test_pack_fills_the_first_backend_until_it_has_no_room() -> None:
    first, second = candidate(1, limit=5000, used=4500), candidate(2, limit=5000)

    small = choose([second, first], count=1, size_bytes=500, routing=Routing.PACK)
    large = choose([second, first], count=1, size_bytes=501, routing=Routing.PACK)

    assert (ids(small), ids(large)) == ([1], [2])


def test_spread_prefers_the_emptiest_by_fraction_and_not_by_bytes() -> None:
    large = candidate(1, limit=1_000_000, used=600_000)
    small = candidate(2, limit=10_000, used=1_000)

    assert ids(choose([large, small], count=1, size_bytes=SIZE, routing=Routing.SPREAD)) == [2]


def test_spread_without_limits_goes_by_the_bytes_in_use() -> None:
    fuller, emptier = candidate(1, used=5000), candidate(2, used=10)

    assert ids(choose([fuller, emptier], count=2, size_bytes=SIZE, routing=Routing.SPREAD)) == [2, 1]


def drawn(candidates: list[Candidate], blob_count: int = 4000) -> Counter[int]:
    """Who gets the pieces of so many blobs under weighted routing."""
    return Counter(winners(candidates, blob_count))


def winners(candidates: list[Candidate], blob_count: int = 4000) -> list[int]:
    return [
        ids(choose(candidates, count=1, size_bytes=SIZE, routing=Routing.WEIGHTED, key=number.to_bytes(16)))[
            0
        ]
        for number in range(blob_count)
    ]


def test_weights_are_the_shares_of_pieces() -> None:
    candidates = [candidate(1), candidate(2, terms=weight(2)), candidate(3, terms=weight(5))]

    counts = drawn(candidates)

    assert counts[1] == pytest.approx(500, rel=0.15)
    assert counts[2] == pytest.approx(1000, rel=0.1)
    assert counts[3] == pytest.approx(2500, rel=0.05)


def test_a_backend_of_no_weight_takes_what_no_other_can() -> None:
    idle, full = candidate(1, terms=weight(0)), candidate(2, limit=10)

    assert drawn([idle, candidate(3)], 200) == {3: 200}
    assert drawn([idle, full], 200) == {1: 200}


def test_a_backend_that_comes_takes_its_share_and_moves_nothing_between_the_others() -> None:
    before = winners([candidate(1), candidate(2)])

    after = winners([candidate(1), candidate(2), candidate(3)])

    assert all(new in (old, 3) for old, new in zip(before, after, strict=True))
    assert after.count(3) == pytest.approx(4000 / 3, rel=0.1)


def test_copies_by_weight_lie_in_distinct_domains_and_on_healthy_backends_first() -> None:
    candidates = [
        candidate(1, "rack", terms=weight(900)),
        candidate(2, "rack", terms=weight(900)),
        candidate(3, "shelf", terms=weight(900), health=Health.DEGRADED),
        candidate(4, "attic", terms=weight(0.001)),
    ]

    for number in range(50):
        key = number.to_bytes(16)
        chosen = choose(candidates, count=2, size_bytes=SIZE, routing=Routing.WEIGHTED, key=key)
        assert {each.failure_domain for each in chosen} == {"rack", "attic"}


def test_cost_weighs_bytes_against_requests() -> None:
    cheap_bytes = candidate(1, terms=BackendTerms(cost_per_gib=0.005, cost_per_million_requests=10))
    cheap_requests = candidate(2, terms=BackendTerms(cost_per_gib=0.02, cost_per_million_requests=1))

    def cheapest(size_bytes: int) -> list[int]:
        found = choose([cheap_bytes, cheap_requests], count=1, size_bytes=size_bytes, routing=Routing.COST)
        return ids(found)

    assert (cheapest(4 * KIB), cheapest(GIB)) == ([2], [1])


def test_among_equal_costs_the_emptiest_takes_it_and_a_full_one_gives_way_to_a_dear_one() -> None:
    dear = BackendTerms(cost_per_gib=1)
    candidates = [candidate(1, limit=9000, used=5000), candidate(2, limit=9000), candidate(3, terms=dear)]

    def chosen(size_bytes: int, count: int) -> list[int]:
        return ids(choose(candidates, count=count, size_bytes=size_bytes, routing=Routing.COST))

    assert (chosen(SIZE, 3), chosen(10_000, 1)) == ([2, 1, 3], [3])


def test_a_store_is_not_asked_for_objects_larger_than_it_takes() -> None:
    small = candidate(1, terms=BackendTerms(object_bytes_max=SIZE))
    candidates = [small, candidate(2)]

    def chosen(size_bytes: int) -> list[int]:
        return ids(choose(candidates, count=1, size_bytes=size_bytes, routing=Routing.PACK))

    assert (chosen(SIZE), chosen(SIZE + 1)) == ([1], [2])
    with pytest.raises(NoSpaceAnywhere):
        choose([small], count=1, size_bytes=SIZE + 1, routing=Routing.PACK)


def test_two_copies_never_share_a_failure_domain() -> None:
    candidates = [candidate(1, "rack"), candidate(2, "rack"), candidate(3, "shelf")]

    assert ids(choose(candidates, count=2, size_bytes=SIZE, routing=Routing.PACK)) == [1, 3]


def test_a_domain_that_holds_a_piece_takes_no_other() -> None:
    candidates = [candidate(1, "rack"), candidate(2, "rack"), candidate(3, "shelf")]

    chosen = choose(
        candidates, count=1, size_bytes=SIZE, routing=Routing.PACK, taken_domains={"rack"}, failed={1}
    )

    assert ids(chosen) == [3]


def test_more_copies_than_domains_is_refused_with_that_reason() -> None:
    candidates = [candidate(1, "rack"), candidate(2, "rack")]

    with pytest.raises(NotEnoughDomains) as refused:
        choose(candidates, count=2, size_bytes=SIZE, routing=Routing.PACK)

    assert (refused.value.wanted_count, refused.value.domain_count) == (2, 1)


def test_a_backend_that_takes_no_placements_counts_for_nothing() -> None:
    with pytest.raises(NotEnoughDomains):
        choose([candidate(1, is_active=False)], count=1, size_bytes=SIZE, routing=Routing.PACK)


def test_when_only_room_is_missing_the_error_says_so() -> None:
    candidates = [candidate(1, limit=100), candidate(2)]

    with pytest.raises(NoSpaceAnywhere) as refused:
        choose(candidates, count=1, size_bytes=SIZE, routing=Routing.PACK, full={2})

    assert refused.value.wanted_bytes == SIZE


def test_when_what_has_room_is_down_the_call_may_be_repeated() -> None:
    candidates = [candidate(1, limit=100), candidate(2)]

    with pytest.raises(BackendsUnavailable) as refused:
        choose(candidates, count=1, size_bytes=SIZE, routing=Routing.PACK, failed={2})

    assert refused.value.may_repeat


@pytest.mark.parametrize("none", [Health.SUSPECTED, Health.FAILED])
def test_a_degraded_backend_is_the_last_choice_and_a_suspected_or_failed_one_is_none(none: Health) -> None:
    candidates = [
        candidate(1, health=none),
        candidate(2, health=Health.DEGRADED),
        candidate(3),
    ]

    assert ids(choose(candidates, count=2, size_bytes=SIZE, routing=Routing.PACK)) == [3, 2]
    with pytest.raises(BackendsUnavailable):
        choose(candidates, count=3, size_bytes=SIZE, routing=Routing.PACK)


CANDIDATES = st.lists(
    st.builds(
        candidate,
        st.integers(1, 50),
        st.sampled_from(["a", "b", "c", "d"]),
        is_active=st.booleans(),
        health=st.sampled_from(Health),
        used=st.integers(0, 3000),
        limit=st.none() | st.integers(0, 5000),
    ),
    max_size=8,
    unique_by=lambda each: each.backend_id,
)


@given(
    candidates=CANDIDATES,
    count=st.integers(1, 4),
    routing=st.sampled_from(Routing),
    failed=st.sets(st.integers(1, 50)),
    full=st.sets(st.integers(1, 50)),
)
def test_what_is_chosen_always_fits_and_what_fits_is_always_found(
    candidates: list[Candidate], count: int, routing: Routing, failed: set[int], full: set[int]
) -> None:
    fitting = [
        each
        for each in candidates
        if each.is_active
        and each.health in (Health.HEALTHY, Health.DEGRADED)
        and each.has_room(SIZE)
        and each.backend_id not in failed | full
    ]
    try:
        chosen = choose(candidates, count=count, size_bytes=SIZE, routing=routing, failed=failed, full=full)
    except (BackendsUnavailable, NoSpaceAnywhere):
        assert len({each.failure_domain for each in fitting}) < count
    else:
        assert len({each.failure_domain for each in chosen}) == len(chosen) == count
        assert all(each in fitting for each in chosen)
