"""Ended operations are forgotten batch by batch, only under the lease, and open ones never."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.errors import LeaseLost
from engine.metadata import operation_runs, operations
from engine.metadata.operation_runs import Ending
from engine.metadata.operations import OperationFilter, OperationProgress, OperationState
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Tx
from engine.upkeep.operation_expiry import OperationExpiry
from tests.support.deployments import no_fence
from tests.support.metadata import SetClock, open_sqlite


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Five operations that have ended one after the other, and one that has not."""
    clock = SetClock()
    made = open_sqlite(tmp_path, clock=clock)
    for number in range(6):
        name = f"operations/{number}"
        start = partial(operations.start, name=name, method="m", target=name, request={}, creator=None)
        made.write(start)
        clock.move(1)
        if number:
            held = made.write(partial(operation_runs.claim, name=name, holder=b"p" * 16, ttl_s=30.0))
            assert held is not None
            ending = Ending(state=OperationState.SUCCEEDED)
            finish = partial(
                operation_runs.finish,
                lease=held.lease,
                ending=ending,
                progress=OperationProgress(),
                warnings=(),
            )
            made.write(finish)
    yield made
    made.close()


def names(store: SqliteStore) -> set[str]:
    rows = store.read(partial(operations.list_operations, wanted=OperationFilter(), count_max=100))
    return {row.name for row in rows}


def test_what_is_too_much_goes_a_batch_at_a_time(store: SqliteStore) -> None:
    unit = OperationExpiry(store, fence=no_fence, keep_count=2, batch_count_max=2)

    assert unit.work().has_more
    assert len(names(store)) == 4
    assert not unit.work().has_more

    assert names(store) == {"operations/0", "operations/4", "operations/5"}


def test_whoever_lost_the_lease_forgets_nothing(store: SqliteStore) -> None:
    def lost(tx: Tx) -> None:
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost):
        OperationExpiry(store, fence=lost, keep_count=0).work()

    assert len(names(store)) == 6
