"""Asking for a run and looking at what became of it, as WorkerService does."""

from controlplane.workers.ledger import trigger_target
from engine.clock import uuid7
from engine.metadata import workers
from engine.metadata.operations import TRIGGER_METHOD, OperationRow, accept_operation, find_operation
from engine.metadata.store import Store, Tx


def ask(store: Store, worker: str) -> str:
    """Ask for a run; the operation's name."""

    def unit(tx: Tx) -> str:
        workers.trigger(tx, worker)
        name = f"operations/{uuid7().hex()}"
        return accept_operation(tx, name=name, method=TRIGGER_METHOD, target=trigger_target(worker)).name

    return store.write(unit)


def operation(store: Store, name: str) -> OperationRow:
    found = store.read(lambda tx: find_operation(tx, name))
    assert found is not None
    return found


def look(store: Store, worker: str) -> workers.WorkerRow:
    (row,) = store.read(lambda tx: workers.list_workers(tx, worker))
    return row
