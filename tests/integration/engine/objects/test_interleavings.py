"""Requests and upkeep that meet at one key: one is stopped at a seam, the other runs, the end is one of two orders.

A request is stopped before its commit, with all its bytes written, or inside its body, with some of them written.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from engine.errors import InvalidPart, NoSuchKey, NoSuchUpload, PreconditionFailed
from engine.metadata.store import WRITE_TIMEOUT_S, Barrier, Params, Row, Store, Tx
from engine.objects.degradations import Degradation
from engine.records import Copies
from engine.streams import ExpectedDigests
from engine.units import KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

T = TypeVar("T")
WAIT_S = 20.0
HELD, STREAMED = 20 * KIB, 2 * MIB


class Gate:
    """Where one thread waits until the test lets it go on."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._opened = threading.Event()

    def wait(self) -> None:
        self._reached.set()
        assert self._opened.wait(WAIT_S), "nobody opened the gate"

    def wait_reached(self) -> None:
        assert self._reached.wait(WAIT_S), "nobody came to the gate"

    def open(self) -> None:
        self._opened.set()


class GatedStore:
    """A store whose writes on a thread can be stopped before they are queued."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self._local = threading.local()

    def stop_here(self, gate: Gate, *, after_count: int = 0) -> None:
        """The next write of this thread waits at the gate, after some others went through."""
        self._local.gate, self._local.left_count = gate, after_count

    @property
    def waits_for_network(self) -> bool:
        return self._inner.waits_for_network

    def read(self, unit: Callable[[Tx], T], /) -> T:
        return self._inner.read(unit)

    def look(self, statement: str, params: Params, /) -> list[Row]:
        return self._inner.look(statement, params)

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        gate = getattr(self._local, "gate", None)
        if gate is not None:
            if self._local.left_count == 0:
                self._local.gate = None
                gate.wait()
            else:
                self._local.left_count -= 1
        return self._inner.write(unit, after=after, timeout_s=timeout_s)

    def close(self) -> None:
        self._inner.close()


class Meeting:
    """A rig over a gated store."""

    def __init__(self, make_rig: MakeRig, **options: Any) -> None:
        self.stores: list[GatedStore] = []
        self.rig: ObjectRig = make_rig(wrap_store=self._wrap, **options)

    def _wrap(self, store: Store) -> Store:
        self.stores.append(GatedStore(store))
        return self.stores[-1]

    @contextmanager
    def stopped(self, act: Callable[[], T]) -> Iterator[Future[T]]:
        """Run `act` up to its commit; it goes on when the block ends."""
        gate = Gate()

        def run() -> T:
            self.stores[-1].stop_here(gate)
            return act()

        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(run)
            try:
                gate.wait_reached()
                yield future
            finally:
                gate.open()


class GatedBody(BytesBody):
    """A body that stops before its end has been checked, with every byte of it stored or held."""

    def __init__(self, data: bytes, gate: Gate) -> None:
        super().__init__(data)
        self._gate = gate

    def finish(self) -> ExpectedDigests:
        self._gate.wait()
        return super().finish()


@pytest.fixture
def meeting(make_rig: MakeRig) -> Meeting:
    return Meeting(make_rig)


def is_clean(rig: ObjectRig) -> bool:
    return rig.settle().is_clean and rig.unaccounted() == set()


@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_the_put_that_commits_last_wins(meeting: Meeting, size: int) -> None:
    rig = meeting.rig

    with meeting.stopped(lambda: rig.put("k", payload_of(size, seed=1))) as first:
        rig.put("k", payload_of(size, seed=2))
        assert rig.get("k") == payload_of(size, seed=2)

    first.result(WAIT_S)
    assert rig.get("k") == payload_of(size, seed=1)
    assert rig.keys() == ["k"]
    assert is_clean(rig)


def test_of_two_conditional_puts_one_is_refused(meeting: Meeting) -> None:
    rig = meeting.rig

    with meeting.stopped(lambda: rig.put("k", b"first", if_none_match=True)) as first:
        rig.put("k", b"second", if_none_match=True)

    with pytest.raises(PreconditionFailed):
        first.result(WAIT_S)
    assert rig.get("k") == b"second"
    assert is_clean(rig)


def test_an_etag_that_changed_while_the_body_came_refuses_the_put(meeting: Meeting) -> None:
    rig = meeting.rig
    etag = rig.put("k", b"old").etag

    with meeting.stopped(lambda: rig.put("k", b"first", if_match_etag=etag)) as first:
        rig.put("k", b"second")

    with pytest.raises(PreconditionFailed):
        first.result(WAIT_S)
    assert rig.get("k") == b"second"
    assert is_clean(rig)


@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_a_delete_before_the_commit_of_a_put_leaves_the_put(meeting: Meeting, size: int) -> None:
    rig = meeting.rig
    rig.put("k", b"old")

    with meeting.stopped(lambda: rig.put("k", payload_of(size))) as put:
        rig.delete("k")
        with pytest.raises(NoSuchKey):
            rig.find("k")

    put.result(WAIT_S)
    assert rig.get("k") == payload_of(size)
    assert is_clean(rig)


def test_a_put_before_the_commit_of_a_delete_is_deleted(meeting: Meeting) -> None:
    rig = meeting.rig
    rig.put("k", b"old")

    with meeting.stopped(lambda: rig.delete("k")) as delete:
        rig.put("k", b"new")

    delete.result(WAIT_S)
    assert rig.keys() == []
    assert is_clean(rig)


@pytest.mark.parametrize("size", [HELD, STREAMED])
@pytest.mark.parametrize("backends", [{"volume_count": 1}, {"volume_count": 0, "memory_count": 1}])
def test_upkeep_takes_nothing_of_a_put_that_has_not_committed(
    make_rig: MakeRig, size: int, backends: dict[str, int]
) -> None:
    meeting = Meeting(make_rig, **backends)
    rig = meeting.rig
    rig.put("k", payload_of(size, seed=1))

    with meeting.stopped(lambda: rig.put("k", payload_of(size, seed=2))) as put:
        rig.delete("k")
        rig.reap()
        rig.recover_intents()
        rig.clean_up()

    put.result(WAIT_S)
    assert rig.get("k") == payload_of(size, seed=2)
    assert is_clean(rig)


def test_an_upload_is_completed_or_aborted_never_both(meeting: Meeting) -> None:
    rig = meeting.rig
    first = rig.begin_upload("a")
    part = rig.put_part(first, "a", 1, payload_of(HELD))
    second = rig.begin_upload("b")
    other = rig.put_part(second, "b", 1, payload_of(HELD))

    with meeting.stopped(lambda: rig.complete(first, "a", [part])) as complete:
        rig.abort_upload(first, "a")
        rig.reap()
    with meeting.stopped(lambda: rig.abort_upload(second, "b")) as abort:
        rig.complete(second, "b", [other])

    with pytest.raises(NoSuchUpload):
        complete.result(WAIT_S)
    with pytest.raises(NoSuchUpload):
        abort.result(WAIT_S)
    assert rig.keys() == ["b"]
    assert rig.get("b") == payload_of(HELD)
    assert is_clean(rig)


def test_of_two_completes_with_one_list_both_answer_the_same(meeting: Meeting) -> None:
    rig = meeting.rig
    upload_id = rig.begin_upload("k")
    part = rig.put_part(upload_id, "k", 1, payload_of(HELD))

    with meeting.stopped(lambda: rig.complete(upload_id, "k", [part])) as first:
        second = rig.complete(upload_id, "k", [part])
        rig.put("k", b"overwritten since")

    assert first.result(WAIT_S).etag == second.etag
    assert first.result(WAIT_S).is_repeated
    assert rig.get("k") == b"overwritten since"
    assert is_clean(rig)


def test_a_part_sent_again_before_the_complete_commits_refuses_it(meeting: Meeting) -> None:
    rig = meeting.rig
    upload_id = rig.begin_upload("k")
    part = rig.put_part(upload_id, "k", 1, payload_of(HELD, seed=1))

    with meeting.stopped(lambda: rig.complete(upload_id, "k", [part])) as complete:
        again = rig.put_part(upload_id, "k", 1, payload_of(HELD, seed=2))

    with pytest.raises(InvalidPart):
        complete.result(WAIT_S)
    rig.complete(upload_id, "k", [again])
    assert rig.get("k") == payload_of(HELD, seed=2)
    assert is_clean(rig)


def test_a_part_whose_upload_ends_before_it_commits_leaves_nothing(meeting: Meeting) -> None:
    rig = meeting.rig
    upload_id = rig.begin_upload("k")

    with meeting.stopped(lambda: rig.put_part(upload_id, "k", 1, payload_of(STREAMED))) as part:
        rig.abort_upload(upload_id, "k")

    with pytest.raises(NoSuchUpload):
        part.result(WAIT_S)
    assert is_clean(rig)


def test_a_copy_that_was_first_to_join_keeps_the_blob_from_the_reaper(meeting: Meeting) -> None:
    rig = meeting.rig
    rig.put("source", payload_of(STREAMED))
    blobs = [each.blob.blob_id for each in rig.find("source").slices]

    with meeting.stopped(lambda: rig.copy("source", "target")) as copy:
        rig.delete("source")
    copy.result(WAIT_S)
    assert is_clean(rig)

    assert [each.blob.blob_id for each in rig.find("target").slices] == blobs
    assert rig.get("target") == payload_of(STREAMED)


def test_a_copy_that_comes_after_the_reaper_finds_its_source_gone(meeting: Meeting) -> None:
    rig = meeting.rig
    rig.put("source", payload_of(STREAMED))

    with meeting.stopped(lambda: rig.copy("source", "target")) as copy:
        rig.delete("source")
        rig.reap()

    with pytest.raises(NoSuchKey):
        copy.result(WAIT_S)
    assert rig.keys() == []
    assert is_clean(rig)


def test_a_copy_whose_source_was_overwritten_and_reaped_copies_what_it_is_now(meeting: Meeting) -> None:
    rig = meeting.rig
    rig.put("source", payload_of(STREAMED, seed=1))

    with meeting.stopped(lambda: rig.copy("source", "target")) as copy:
        rig.put("source", payload_of(STREAMED, seed=2))
        rig.reap()

    copy.result(WAIT_S)
    assert rig.get("target") == payload_of(STREAMED, seed=2)
    assert rig.objects.degradations.counts()[Degradation.COPY_REPEATED] == 1
    assert is_clean(rig)


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_a_volume_that_is_compacted_between_write_and_commit_is_left_and_the_put_goes_well(
    make_rig: MakeRig, size: int, copies: int
) -> None:
    meeting = Meeting(make_rig, volume_count=3, scheme=Copies(count=copies))
    rig = meeting.rig
    gate = Gate()
    with ThreadPoolExecutor(1) as pool:
        put = pool.submit(lambda: rig.put("k", GatedBody(payload_of(size), gate)))
        try:
            gate.wait_reached()
            rig.compact()
        finally:
            gate.open()
        put.result(WAIT_S)

    assert rig.get("k") == payload_of(size)
    assert all(len({each.backend_id for each in one.locations}) == copies for one in rig.find("k").slices)
    rig.clock.pass_grace()
    rig.sweep()
    assert rig.get("k") == payload_of(size)
    assert is_clean(rig)
    assert rig.objects.degradations.counts()[Degradation.PLACEMENT_REPEATED] >= 1


def test_a_read_goes_on_through_overwrite_reaper_cleanup_and_compaction(meeting: Meeting) -> None:
    """Within the grace; what a reader has open stays readable even behind it."""
    rig = meeting.rig
    rig.put("k", payload_of(STREAMED, seed=1))
    stored = rig.find("k")

    rig.put("k", payload_of(STREAMED, seed=2))
    rig.reap()
    for volume in rig.volumes:
        volume.close_volumes()
    rig.compact()

    assert rig.read(stored) == payload_of(STREAMED, seed=1)
    assert rig.get("k") == payload_of(STREAMED, seed=2)
    assert is_clean(rig)


def test_many_puts_of_few_keys_at_once_leave_one_version_of_each(meeting: Meeting) -> None:
    rig = meeting.rig
    contents = {f"{number}": payload_of(HELD + number, seed=number) for number in range(40)}

    def put(number: int) -> None:
        rig.put(f"k{number % 4}", contents[str(number)])
        if number % 5 == 0:
            rig.delete(f"k{(number + 1) % 4}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(40)))

    keys = rig.keys()
    assert all(rig.get(key) in contents.values() for key in keys)
    assert is_clean(rig)
