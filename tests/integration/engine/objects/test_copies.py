"""Two copies over failure domains: a backend that fails is replaced, or the write is refused and leaves nothing."""

import pytest

from engine.backends.base import Backend, PieceReader
from engine.backends.memory import Call, Fault, MemoryBackend
from engine.errors import (
    BackendsUnavailable,
    BelowWriteQuorum,
    EngineError,
    IntentLost,
    NotEnoughDomains,
    PieceCorrupt,
)
from engine.metadata import intents
from engine.metadata.backends import set_state
from engine.metadata.intents import LATE_WRITE_S
from engine.objects.degradations import Degradation
from engine.placement.policy import Routing
from engine.records import BackendState, Copies, Sealing
from engine.streams import ExpectedDigests
from engine.units import KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

HELD, STREAMED = 10 * KIB, 2 * MIB + 5
TWO = Copies(count=2)
ENDS_A_STREAM = [Call.OPEN_WRITER, Call.WRITE, Call.FINISH]


def backend_ids(rig: ObjectRig, key: str) -> list[set[int]]:
    """For each blob, where its pieces lie."""
    return [{each.backend_id for each in one.locations} for one in rig.find(key).slices]


class Rotting:
    """A backend whose pieces are bad as soon as they are written."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        raise PieceCorrupt("rotten", backend=self._inner.name)


def fail_for_good(memory: MemoryBackend, call: Call, fault: Fault = Fault.UNAVAILABLE) -> None:
    memory.faults.add(call, fault, count=100)


@pytest.mark.parametrize("seal", Sealing)
@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.FULL, Fault.TIMEOUT_DONE, Fault.TIMEOUT_LATE])
@pytest.mark.parametrize(
    ("size", "call"), [(HELD, Call.STORE), *((STREAMED, call) for call in ENDS_A_STREAM)]
)
def test_a_third_backend_takes_the_piece_of_one_that_fails(
    make_rig: MakeRig, size: int, call: Call, fault: Fault, seal: Sealing
) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=TWO, seal=seal, routing=Routing.PACK)
    bad, *good = rig.memories
    fail_for_good(bad, call, fault)

    rig.put("k", payload_of(size))

    good_ids = {each.backend_id for each in good}
    assert all(found == good_ids for found in backend_ids(rig, "k"))
    assert rig.get("k") == payload_of(size)
    assert rig.unaccounted() == set()
    bad.land_late()
    assert rig.settle().is_clean
    assert bad.storage_keys() == []
    assert rig.unaccounted() == set()


@pytest.mark.parametrize(("size", "call"), [(HELD, Call.STORE), (STREAMED, Call.FINISH)])
def test_a_write_that_lands_after_its_request_is_deleted_then_and_not_before(
    make_rig: MakeRig, size: int, call: Call
) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=TWO, routing=Routing.PACK)
    late = rig.memories[0]
    late.faults.add(call, Fault.TIMEOUT_LATE)
    rig.put("k", payload_of(size))

    assert rig.due_count() == 0
    late.land_late()
    rig.clock.ahead_us += int(LATE_WRITE_S * 1_000_000) + 1
    assert rig.due_count() == 1

    assert rig.settle().is_clean
    assert rig.unaccounted() == set()
    assert len(late.storage_keys()) == sum(late.backend_id in found for found in backend_ids(rig, "k"))


@pytest.mark.parametrize(
    ("size", "call"), [(HELD, Call.STORE), *((STREAMED, call) for call in ENDS_A_STREAM)]
)
def test_below_the_quorum_nothing_is_visible_and_nothing_stays(
    make_rig: MakeRig, size: int, call: Call
) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO)
    rig.put("k", b"old")
    fail_for_good(rig.memories[1], call)

    with pytest.raises((BelowWriteQuorum, BackendsUnavailable)) as refused:
        rig.put("k", payload_of(size))

    assert refused.value.may_repeat
    assert rig.get("k") == b"old"
    rig.memories[1].faults.clear()
    assert rig.settle().is_clean
    assert rig.unaccounted() == set()
    assert [len(memory.storage_keys()) for memory in rig.memories] == [1, 1]


def test_a_quorum_of_one_commits_with_the_piece_that_stands(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO, write_quorum=1)
    fail_for_good(rig.memories[0], Call.STORE)
    fail_for_good(rig.memories[0], Call.OPEN_WRITER)

    rig.put("held", payload_of(HELD))
    rig.put("streamed", payload_of(STREAMED))

    only = {rig.memories[1].backend_id}
    assert backend_ids(rig, "held") == [only]
    assert set(map(frozenset, backend_ids(rig, "streamed"))) == {frozenset(only)}
    assert (rig.get("held"), rig.get("streamed")) == (payload_of(HELD), payload_of(STREAMED))
    assert rig.objects.degradations.counts()[Degradation.BELOW_SCHEME] >= 2


def test_more_copies_than_domains_is_refused_before_the_body_is_read(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, scheme=Copies(count=3))
    bodies = [BytesBody(payload_of(HELD)), BytesBody(payload_of(STREAMED))]

    for body in bodies:
        with pytest.raises(NotEnoughDomains):
            rig.put("k", body)

    assert [body.read_count for body in bodies] == [0, 0]


def test_a_piece_that_cannot_be_read_back_is_made_anew_elsewhere(make_rig: MakeRig) -> None:
    rig = make_rig(
        volume_count=0,
        memory_count=4,
        scheme=Copies(count=3),
        routing=Routing.PACK,
        wrap_backend=lambda backend: Rotting(backend) if backend.name == "cloud-0" else backend,
    )
    rig.memories[1].faults.add(Call.FINISH, Fault.UNAVAILABLE)

    rig.put("k", payload_of(MIB))

    assert backend_ids(rig, "k") == [{each.backend_id for each in rig.memories[1:]}]
    assert rig.get("k") == payload_of(MIB)
    assert rig.settle().is_clean
    assert rig.unaccounted() == set()


def test_a_piece_that_cannot_be_read_back_is_not_acknowledged_on_a_quorum_of_one(make_rig: MakeRig) -> None:
    """The copy that is made from it shows that it is bad, and then no piece stands."""

    rig = make_rig(
        volume_count=0,
        memory_count=2,
        scheme=TWO,
        write_quorum=1,
        routing=Routing.PACK,
        wrap_backend=lambda backend: Rotting(backend) if backend.name == "cloud-0" else backend,
    )
    rig.memories[1].faults.add(Call.FINISH, Fault.UNAVAILABLE)

    with pytest.raises(EngineError):
        rig.put("k", payload_of(MIB))

    assert rig.keys() == []
    assert rig.settle().is_clean
    assert rig.unaccounted() == set()


@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_a_backend_that_stops_taking_pieces_between_write_and_commit_is_left(
    make_rig: MakeRig, size: int
) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=TWO, routing=Routing.PACK)
    drained = rig.memories[0].backend_id

    class Body(BytesBody):
        def finish(self) -> ExpectedDigests:
            rig.store.write(lambda tx: set_state(tx, drained, BackendState.DRAINING, reason=None))
            return super().finish()

    rig.put("k", Body(payload_of(size)))

    assert all(drained not in found and len(found) == 2 for found in backend_ids(rig, "k"))
    assert rig.get("k") == payload_of(size)
    assert rig.settle().is_clean
    assert rig.unaccounted() == set()
    assert rig.objects.degradations.counts()[Degradation.PLACEMENT_REPEATED] == 1


@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_an_intent_taken_by_recovery_ends_the_write_and_the_next_one_goes_well(
    make_rig: MakeRig, size: int
) -> None:
    """A process that was stopped for a while finds its intents gone, all of them, and must not trip over each."""
    rig = make_rig(volume_count=0, memory_count=2, scheme=TWO)
    rig.put("k", b"old")

    def recover() -> None:
        for each in rig.store.write(
            lambda tx: intents.claim_dead(
                tx, process_id=b"another---------", dead_after_s=-1.0, count_max=1000
            )
        ):
            rig.backends.get(each.backend_id).delete(each.storage_key, 0)
            rig.store.write(lambda tx, each=each: intents.forget(tx, each.intent_id))  # type: ignore[misc]

    class Body(BytesBody):
        def finish(self) -> ExpectedDigests:
            recover()
            return super().finish()

    with pytest.raises(IntentLost):
        rig.put("k", Body(payload_of(size)))

    assert rig.get("k") == b"old"
    assert rig.unaccounted() == set()
    rig.put("k", payload_of(size))
    assert rig.get("k") == payload_of(size)
    assert rig.settle().is_clean


@pytest.mark.parametrize(("routing", "expected"), [(Routing.PACK, [4, 0, 0]), (Routing.SPREAD, [2, 1, 1])])
def test_routing_packs_or_spreads(make_rig: MakeRig, routing: Routing, expected: list[int]) -> None:
    rig = make_rig(volume_count=0, memory_count=3, routing=routing)

    for number in range(4):
        rig.put(f"k{number}", payload_of(HELD, seed=number))

    assert [len(memory.storage_keys()) for memory in rig.memories] == expected
