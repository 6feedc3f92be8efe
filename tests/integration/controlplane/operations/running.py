"""A runner over a deployment, for the block of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from controlplane.operations.pace import Budgets
from controlplane.operations.runner import OperationRunner
from engine.deployment.opening import OpenDeployment
from engine.metadata import operations
from tests.integration.controlplane.operations.works import Counting, look
from tests.support.control import wait_until

WAIT_S = 20.0


@contextmanager
def running(
    deployment: OpenDeployment, counting: Counting, budgets: Budgets | None = None, **options: Any
) -> Iterator[OperationRunner]:
    made = OperationRunner(deployment, budgets or Budgets(), kinds=[counting.kind], **options)
    made.start()
    try:
        yield made
    finally:
        assert made.stop(WAIT_S)


def ended(deployment: OpenDeployment, name: str) -> operations.OperationRow:
    wait_until(lambda: look(deployment.store, name).state.is_final, "the end of the operation")
    return look(deployment.store, name)


def cancel(deployment: OpenDeployment, name: str) -> None:
    deployment.store.write(partial(operations.request_cancel, name=name, creator="bob"))
