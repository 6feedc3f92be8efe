"""Pieces go to distinct failure domains, into room that is there, to healthy backends first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BackendsUnavailable, NoSpaceAnywhere, NotEnoughDomains
from engine.placement.health import Health
from engine.placement.policy import Candidate, Routing, choose

SIZE = 1000


def candidate(
    backend_id: int,
    domain: str | None = None,
    *,
    is_active: bool = True,
    health: Health = Health.HEALTHY,
    used: int = 0,
    limit: int | None = None,
) -> Candidate:
    return Candidate(
        backend_id=backend_id,
        failure_domain=domain or f"domain-{backend_id}",
        is_active=is_active,
        health=health,
        used_bytes=used,
        free_bytes=None if limit is None else limit - used,
        capacity_bytes=limit,
    )


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


def test_a_suspected_backend_is_the_last_choice_and_a_failed_one_is_none() -> None:
    candidates = [
        candidate(1, health=Health.FAILED),
        candidate(2, health=Health.SUSPECTED),
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
        and each.health is not Health.FAILED
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
