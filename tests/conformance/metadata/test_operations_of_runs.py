"""Operations that ask for a run of a worker: joined while they wait, begun and ended with the run."""

from functools import partial

from engine.metadata import operations
from engine.metadata.operations import OperationRow, OperationState
from engine.metadata.store import Store
from engine.records import Progress
from tests.support.metadata import START_US, SetClock


def accept(
    store: Store, name: str, *, target: str = "workers/reaper", method: str = operations.TRIGGER_METHOD
) -> OperationRow:
    return store.write(partial(operations.accept_operation, name=name, method=method, target=target))


def begin(store: Store) -> list[str]:
    return store.write(
        partial(operations.begin_operations, method=operations.TRIGGER_METHOD, target="workers/reaper")
    )


def find(store: Store, name: str) -> OperationRow:
    row = store.read(partial(operations.find_operation, name=name))
    assert row is not None
    return row


def end(store: Store, name: str, *, error: str | None = None) -> None:
    store.write(partial(operations.end_operation, name=name, progress=Progress(done_count=2), error=error))


def test_what_waits_is_joined_not_doubled(store: Store) -> None:
    first = accept(store, "operations/1")

    assert accept(store, "operations/2") == first
    assert accept(store, "operations/3", target="workers/cleanup").name == "operations/3"
    assert accept(store, "operations/4", method="Pause").name == "operations/4"
    assert store.read(partial(operations.find_operation, name="operations/2")) is None


def test_an_operation_goes_from_pending_to_running_to_its_end(store: Store, clock: SetClock) -> None:
    assert accept(store, "operations/1").state is OperationState.PENDING
    assert begin(store) == ["operations/1"]
    assert find(store, "operations/1").state is OperationState.RUNNING
    clock.move(5)

    end(store, "operations/1")

    row = find(store, "operations/1")
    assert row.state is OperationState.SUCCEEDED
    assert row.state.is_final
    assert (row.progress.done_count, row.finished_at_us) == (2, START_US + 5_000_000)


def test_an_operation_ends_once(store: Store) -> None:
    accept(store, "operations/1")
    begin(store)
    end(store, "operations/1", error="it broke")

    end(store, "operations/1")

    row = find(store, "operations/1")
    assert (row.state, row.error) == (OperationState.FAILED, "it broke")


def test_what_was_accepted_and_never_begun_does_not_end(store: Store) -> None:
    accept(store, "operations/1")

    end(store, "operations/1")

    assert find(store, "operations/1").state is OperationState.PENDING


def test_what_a_dead_process_left_running_has_failed(store: Store) -> None:
    accept(store, "operations/1")
    begin(store)
    accept(store, "operations/2")

    assert begin(store) == ["operations/2"]

    assert find(store, "operations/1").state is OperationState.FAILED
    assert find(store, "operations/2").state is OperationState.RUNNING
