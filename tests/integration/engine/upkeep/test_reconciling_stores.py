"""Stores that can be listed are compared by their listing, both ways, and what it says wrong does no harm."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from engine.backends.base import Backend, ListedObject, ListedPage
from engine.backends.layers.layer import Layer
from engine.backends.memory import LISTED_COUNT_MAX, Call, Fault, MemoryBackend
from engine.backends.registry import Backends
from engine.clock import uuid7
from engine.errors import DatabaseUnavailable, OutcomeUnknown
from engine.metadata import cleanup, intents
from engine.metadata.discrepancies import DiscrepancyKind
from engine.metadata.intents import Intent
from engine.records import Copies
from engine.units import KIB
from engine.upkeep.long_work import Unpaced
from engine.upkeep.piece_check import Depth
from engine.upkeep.reconciling import Ways
from engine.upkeep.resolving import Repair, Resolution
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.integration.engine.upkeep.test_reconciling import (
    compare,
    delete,
    fill,
    kept,
    locations,
    resolve,
    tell_wrong_size,
    told,
    work_through,
)
from tests.support.deployments import no_fence
from tests.support.interruptions import InterruptedStore
from tests.support.metadata import run_sql
from tests.support.objects import GRACE_US, ObjectRig
from tests.support.pieces import payload_of, tail_of

TWO = Copies(count=2)
K = DiscrepancyKind


@pytest.fixture
def rig(make_rig: MakeRig) -> ObjectRig:
    made = make_rig(volume_count=0, memory_count=2, scheme=TWO)
    fill(made)
    return made


def memory(rig: ObjectRig, number: int = 0) -> MemoryBackend:
    return rig.memories[number]


def new_key() -> str:
    text = uuid7().hex()
    return f"pieces/{text[-2:]}/{text}"


def leave_orphan(rig: ObjectRig) -> str:
    """A piece of ours that no row names."""
    payload, key = payload_of(9 * KIB), new_key()
    memory(rig).store(memoryview(payload), tail_of(payload), storage_key=key)
    return key


def over(rig: ObjectRig, wrap: Callable[[Backend], Backend], **options: object) -> dict[str, object]:
    """What a comparison answers where stores list as that layer has it."""
    backends = Backends([wrap(each) for each in rig.backends])
    parts = replace(rig.integrity(), backends=backends)
    work = parts.reconciliation(list(backends), no_fence, Unpaced(), **options)  # type: ignore[arg-type]
    return dict(work_through(work)[-1].result or {})


class Late(Layer):
    """A listing that knows nothing of the last hours."""

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        return ListedPage(objects=(), next_token=None, document_bytes=0)


class Backwards(Layer):
    """A listing in an order of its own, which takes no key for a beginning."""

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        found: list[ListedObject] = []
        begin = ""
        while True:
            page = super().list_objects(after=begin)
            found += page.objects
            if page.next_token is None:
                break
            begin = page.objects[-1].key
        start = 0 if token is None else int(token)
        stop = start + 3
        return ListedPage(
            objects=tuple(reversed(found))[start:stop],
            next_token=str(stop) if stop < len(found) else None,
            document_bytes=0,
        )


class Vanishing(Layer):
    """A store from which something is deleted each time when it has been listed."""

    def __init__(self, inner: Backend, key: str) -> None:
        super().__init__(inner)
        self._key = key

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        page = super().list_objects(token, after=after)
        self.inner.delete(self._key, 0)
        return page


def test_a_piece_that_no_row_names_is_told_once_it_is_old(rig: ObjectRig) -> None:
    key = leave_orphan(rig)

    assert compare(rig) == {}
    rig.clock.pass_grace()
    answer = compare(rig)

    assert answer == {"orphan_count": 1}
    assert told(rig) == [(K.ORPHAN, key)]
    assert kept(rig)[0].mismatch.size_bytes > 9 * KIB
    assert key in memory(rig).storage_keys()


def test_it_is_deleted_only_when_storage_may_be_changed_and_after_a_grace(rig: ObjectRig) -> None:
    key = leave_orphan(rig)
    rig.clock.pass_grace()
    compare(rig)

    assert resolve(rig, Repair.METADATA) == {"left_count": 1}
    assert resolve(rig, Repair.STORAGE) == {"settled_count": 1}

    assert rig.due_count() == 0
    assert key in memory(rig).storage_keys()
    assert compare(rig) == {}
    rig.clock.pass_grace()
    assert rig.due_count() == 1
    report = rig.settle()
    assert report.is_clean
    assert key not in memory(rig).storage_keys()


def test_what_is_not_ours_is_listed_and_never_touched(rig: ObjectRig) -> None:
    strangers = ["holiday.jpg", "pieces/00/readme.txt", new_key().replace("pieces", "copies")]
    for each in strangers:
        memory(rig).put_stranger(each, b"mine")
    # By its name it might be ours, and by its end it is not.
    forged = new_key()
    memory(rig).put_stranger(forged, b"mine")
    rig.clock.pass_grace()

    answer = compare(rig, repair=Repair.BOTH)
    resolve(rig, Repair.BOTH)

    assert answer == {"foreign_count": 3, "orphan_count": 1, "left_count": 4}
    assert {*strangers, forged} <= {*memory(rig).storage_keys()}
    rig.clock.pass_grace()
    rig.settle()
    assert {*strangers, forged} <= {*memory(rig).storage_keys()}
    resolutions = {each.mismatch.subject: each.resolution for each in kept(rig)}
    assert "cannot be told to be a piece of ours" in str(resolutions[forged])


def test_what_is_announced_or_waits_for_deletion_is_no_orphan(rig: ObjectRig) -> None:
    announced, queued, buried = (leave_orphan(rig) for _ in range(3))
    backend_id = memory(rig).backend_id
    intent = Intent(intent_id=uuid7(), backend_id=backend_id, storage_key=announced)
    rig.store.write(lambda tx: intents.announce(tx, instance_id=uuid7(), intents=[intent]))
    for key in (queued, buried):
        rig.store.write(
            partial(
                cleanup.enqueue,
                backend_id=backend_id,
                storage_key=key,
                size_bytes=0,
                reason="reaped",
                not_before_us=0,
            )
        )
    run_sql(
        rig.store,
        "INSERT INTO cleanup_dlq (cleanup_id, backend_id, storage_key, reason, size_bytes, attempts, died_at_us) "
        "SELECT cleanup_id, backend_id, storage_key, reason, size_bytes, 10, 1 FROM cleanup_queue "
        "WHERE storage_key = :key",
        {"key": buried},
    )
    run_sql(rig.store, "DELETE FROM cleanup_queue WHERE storage_key = :key", {"key": buried})
    rig.clock.pass_grace()

    assert compare(rig) == {}


def test_what_goes_between_the_listing_and_the_rows_is_not_told(rig: ObjectRig) -> None:
    key = leave_orphan(rig)
    rig.clock.pass_grace()

    assert over(rig, lambda each: Vanishing(each, key), ways=Ways.BYTES) == {}


def test_what_a_late_listing_lacks_is_looked_up_before_it_is_told(rig: ObjectRig) -> None:
    gone = locations(rig, "key-1")[0]
    delete(rig, gone)

    answer = over(rig, Late, depth=Depth.SIZE)

    assert answer == {"missing_count": 1}
    assert told(rig) == [(K.MISSING, gone.storage_key)]


@pytest.mark.parametrize("depth", Depth)
def test_a_listing_in_an_order_of_its_own_is_read_to_its_end(rig: ObjectRig, depth: Depth) -> None:
    orphans = {leave_orphan(rig) for _ in range(7)}
    gone = locations(rig, "key-1")[0]
    delete(rig, gone)
    rig.clock.pass_grace()

    answer = over(rig, Backwards, depth=depth)

    assert answer == {"missing_count": 1, "orphan_count": 7}
    assert {*told(rig)} == {(K.MISSING, gone.storage_key)} | {(K.ORPHAN, each) for each in orphans}


def test_sizes_alone_ask_for_nothing_but_the_listing(rig: ObjectRig) -> None:
    for each in rig.memories:
        each.faults.add(Call.READ, Fault.UNAVAILABLE)
        each.faults.add(Call.OPEN_READER, Fault.UNAVAILABLE)

    assert over(rig, lambda each: each, depth=Depth.SIZE) == {}

    assert not any(each.faults.is_spent() for each in rig.memories)


@pytest.mark.parametrize("depth", Depth)
def test_another_size_than_the_row_says_is_found_and_put_right(rig: ObjectRig, depth: Depth) -> None:
    piece = locations(rig, "key-2")[0]
    tell_wrong_size(rig, piece)

    assert over(rig, lambda each: each, depth=depth) == {"size_count": 1}
    assert resolve(rig, Repair.BOTH) == {"settled_count": 1}

    assert locations(rig, "key-2")[0].stored_bytes == piece.stored_bytes
    assert rig.settle().is_clean


def test_a_piece_cut_short_is_found_by_its_size_and_made_anew(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=3, scheme=TWO)
    fill(rig)
    piece = locations(rig, "key-2")[0]
    rig.memories[piece.backend_id - 1].truncate(piece.storage_key, 100)

    answer = over(rig, lambda each: each, depth=Depth.SIZE, repair=Repair.BOTH)

    assert answer == {"checksum_count": 1, "settled_count": 1}
    assert rig.get("key-2") == payload_of(9002, seed=2)
    assert rig.settle().is_clean


def test_many_pages_are_walked_to_their_end(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=1)
    count = 2 * LISTED_COUNT_MAX + 5
    fill(rig, count)
    orphans = {leave_orphan(rig) for _ in range(LISTED_COUNT_MAX + 3)}
    rig.clock.pass_grace()

    answer = over(rig, lambda each: each, depth=Depth.SIZE)

    assert answer == {"orphan_count": len(orphans)}
    assert {subject for _, subject in told(rig)} == orphans
    # Going on from any position finds the same.
    assert resolve(rig, Repair.BOTH) == {"settled_count": len(orphans)}
    assert rig.settle().is_clean
    assert len(memory(rig).storage_keys()) == count


def test_a_store_that_fails_on_the_way_is_told_and_nothing_is_forgotten(rig: ObjectRig) -> None:
    key = leave_orphan(rig)
    rig.clock.pass_grace()
    compare(rig)
    memory(rig).faults.add(Call.LIST, Fault.UNAVAILABLE, count=2)

    answer = compare(rig)

    assert answer == {"unreached_backend_count": 2}
    assert told(rig) == [(K.ORPHAN, key)]


@pytest.mark.parametrize("is_committed", [False, True])
def test_whatever_write_fails_an_orphan_is_deleted_and_counted_once(
    make_rig: MakeRig, is_committed: bool
) -> None:
    for at in range(1, 20):
        rig = make_rig(volume_count=0, memory_count=2, scheme=TWO)
        fill(rig, 2)
        orphans = {leave_orphan(rig) for _ in range(2)}
        rig.clock.ahead_us += 2 * GRACE_US
        compare(rig)
        store = InterruptedStore(rig.store, at=at, is_committed=is_committed)
        parts = replace(rig.integrity(), store=store)
        try:
            work_through(Resolution(store, parts.resolver(no_fence, Unpaced()), repair=Repair.STORAGE))
        except (DatabaseUnavailable, OutcomeUnknown):
            pass

        resolve(rig, Repair.STORAGE)

        assert kept(rig) == [], at
        rig.clock.ahead_us += 2 * GRACE_US
        assert rig.settle().is_clean, at
        assert not orphans & {*memory(rig).storage_keys()}
        if store.write_count < at:
            assert at > 2
            return
    raise AssertionError("it has fewer writes than this")
