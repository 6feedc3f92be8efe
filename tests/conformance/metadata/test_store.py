"""What running a unit means: it commits whole or leaves nothing, and reads see one moment."""

import threading
from functools import partial

import pytest

from engine.errors import BackendUnavailable, EngineError, NoSuchBucket
from engine.metadata import accounts, journal
from engine.metadata.buckets import find_bucket
from engine.metadata.store import Params, Store, Tx
from engine.records import Origin
from tests.conformance.metadata.conftest import OpenStore
from tests.support.metadata import START_US, SetClock, journal_of, make_bucket


class Barrier:
    """A barrier that notes when it was synced, or fails."""

    def __init__(self, order: list[str], error: EngineError | None = None) -> None:
        self._order = order
        self._error = error

    def sync(self) -> None:
        self._order.append("sync")
        if self._error is not None:
            raise self._error


def account_count(tx: Tx) -> int:
    return sum(tx.row_or_none("find_account", {"name": name}) is not None for name in ("one", "other"))


def make_account(tx: Tx, name: str = "one") -> int:
    return accounts.ensure_account(tx, name, Origin.API)


def test_a_write_returns_what_its_unit_returned(store: Store) -> None:
    assert store.write(lambda tx: 42) == 42


def test_what_one_process_committed_the_others_read_at_once(open_store: OpenStore) -> None:
    near, far = open_store(), open_store()

    near.write(make_account)

    assert far.read(account_count) == 1


def test_a_unit_that_raises_leaves_nothing(store: Store) -> None:
    def unit(tx: Tx) -> None:
        make_account(tx)
        journal.append(tx, "test", {})
        find_bucket(tx, "nowhere")

    with pytest.raises(NoSuchBucket):
        store.write(unit)

    assert store.read(account_count) == 0
    assert journal_of(store) == []


def test_a_unit_may_raise_what_is_no_engine_error(store: Store) -> None:
    def unit(tx: Tx) -> None:
        make_account(tx)
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        store.write(unit)

    assert store.read(account_count) == 0
    assert store.write(make_account) > 0


def test_a_refused_unit_may_be_handed_in_again(store: Store) -> None:
    with pytest.raises(NoSuchBucket):
        store.write(partial(find_bucket, name="photos"))

    make_bucket(store)

    assert store.write(partial(find_bucket, name="photos")).name == "photos"


def test_barriers_are_synced_before_the_unit_commits(store: Store) -> None:
    order: list[str] = []

    store.write(lambda tx: order.append("unit"), after=[Barrier(order), Barrier(order)])

    assert order.count("sync") == 2
    assert order[-1] == "unit"


def test_a_barrier_that_fails_keeps_its_unit_from_running(store: Store) -> None:
    error = BackendUnavailable("the disk failed", backend="near")

    with pytest.raises(BackendUnavailable) as caught:
        store.write(make_account, after=[Barrier([], error)])

    assert caught.value is error
    assert store.read(account_count) == 0


def test_a_read_sees_one_moment(open_store: OpenStore) -> None:
    reader, writer = open_store(), open_store()

    def unit(tx: Tx) -> tuple[int, int]:
        before = account_count(tx)
        thread = threading.Thread(target=writer.write, args=(make_account,))
        thread.start()
        thread.join()
        return before, account_count(tx)

    assert reader.read(unit) == (0, 0)
    assert reader.read(account_count) == 1


def test_a_reading_unit_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        store.read(make_account)

    assert store.read(account_count) == 0


def test_a_read_that_raises_leaves_its_connection_fit_for_others(store: Store) -> None:
    for _ in range(40):
        with pytest.raises(NoSuchBucket):
            store.read(partial(find_bucket, name="nowhere"))

    assert store.read(account_count) == 0


def test_the_time_stands_still_within_a_unit(store: Store, clock: SetClock) -> None:
    def unit(tx: Tx) -> tuple[int, int]:
        before = tx.now_us()
        clock.move(60)
        return before, tx.now_us()

    assert store.write(unit) == (START_US, START_US)
    assert store.read(lambda tx: tx.now_us()) == START_US + 60_000_000


def test_an_unknown_statement_is_a_bug_that_says_so(store: Store) -> None:
    with pytest.raises(LookupError, match="no statement is named 'nonsense'"):
        store.read(lambda tx: tx.rows("nonsense", {}))


def test_one_row_means_one_row(store: Store) -> None:
    with pytest.raises(LookupError, match="find_account gave 0 rows"):
        store.read(lambda tx: tx.row("find_account", {"name": "nobody"}))


def test_many_runs_count_together(store: Store) -> None:
    rows: list[Params] = [{"kind": "test", "payload": "{}", "now_us": number} for number in range(5)]

    assert store.write(lambda tx: tx.ask_many("insert_journal", rows).count()) == 5
    assert len(journal_of(store)) == 5
