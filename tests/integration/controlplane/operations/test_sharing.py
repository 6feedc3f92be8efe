"""A rate holds for the whole deployment: whoever moves bytes under its name, on any instance, has a part of it."""

from functools import partial

from controlplane.operations.kinds import OperationKind
from controlplane.operations.pace import Budgets
from controlplane.operations.sharing import count_sharers
from engine.clock import uuid7
from engine.deployment.opening import OpenDeployment
from engine.metadata import leases, operation_runs
from engine.metadata.store import Store
from engine.records import Lease
from tests.integration.controlplane.operations.running import running
from tests.integration.controlplane.operations.works import METHOD, Counting, Gate, begin
from tests.support.control import wait_until

KINDS = {
    METHOD: OperationKind(method=METHOD, build=Counting().build, rate_of="counter"),
    "other": OperationKind(method="other", build=Counting().build),
}


def lead(store: Store, worker: str, holder: bytes) -> Lease:
    lease = store.write(partial(leases.acquire, worker=worker, holder=holder, ttl_s=30.0))
    assert lease is not None
    return lease


def take_up(store: Store, name: str, holder: bytes) -> None:
    assert store.write(partial(operation_runs.claim, name=name, holder=holder, ttl_s=30.0)) is not None


def test_operations_and_the_worker_of_a_name_share_by_process(deployment: OpenDeployment) -> None:
    store, near, far = deployment.store, uuid7(), uuid7()
    for number, holder in enumerate((near, near, far)):
        take_up(store, begin(store, 3, target=f"numbers/{number}"), holder)
    begin(store, 3, target="numbers/waits")
    worker = lead(store, "counter", uuid7())
    lead(store, "reaper", near)

    counts = partial(count_sharers, kinds=KINDS)
    assert store.read(counts) == {"counter": 3, "reaper": 1}
    store.write(partial(leases.release, lease=worker))
    assert store.read(counts) == {"counter": 2, "reaper": 1}


def test_a_runner_keeps_to_its_part_while_another_instance_moves_bytes(deployment: OpenDeployment) -> None:
    store, budgets, gate = deployment.store, Budgets(), Gate(number=1)
    budgets.limit({"counter": 1000})
    begin(store, 2)

    with running(deployment, Counting(at=gate), budgets):
        assert gate.reached.wait(20)
        other = lead(store, "counter", uuid7())
        wait_until(lambda: budgets.of("counter").rate_bytes == 500, "the half of it")
        store.write(partial(leases.release, lease=other))
        wait_until(lambda: budgets.of("counter").rate_bytes == 1000, "all of it")
        gate.opened.set()
