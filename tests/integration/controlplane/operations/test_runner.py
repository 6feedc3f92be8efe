"""Operations are carried out step by step, go on where somebody left them, end as they should, and give way."""

import os
import threading
import time
from dataclasses import dataclass
from typing import TypeVar, cast

import pytest

from controlplane.operations import attempt, runner
from controlplane.operations.pace import BACKGROUND_NICE, Budgets
from controlplane.operations.runner import OperationRunner
from engine.deployment.opening import OpenDeployment
from engine.errors import BackendsUnavailable
from engine.metadata.operations import OperationState
from engine.metadata.store import Store
from tests.integration.controlplane.operations.running import WAIT_S, cancel, ended, running
from tests.integration.controlplane.operations.works import Counting, CountingWork, Gate, begin, look
from tests.support.control import wait_until

T = TypeVar("T")


def test_an_operation_is_carried_out_step_by_step_to_its_result(deployment: OpenDeployment) -> None:
    counting = Counting()
    name = begin(deployment.store, 5)

    with running(deployment, counting):
        row = ended(deployment, name)

    assert row.state is OperationState.SUCCEEDED
    assert (counting.counted, counting.measured_count, counting.cancelled_count) == ([1, 2, 3, 4, 5], 1, 0)
    assert row.result == {"counted_to": 5}
    assert row.warnings == ("1 is odd", "3 is odd", "5 is odd")
    assert (row.progress.done_count, row.progress.total_count) == (5, 5)
    assert (row.progress.done_bytes, row.progress.total_bytes) == (5000, 5000)
    assert (row.progress.stage, row.progress.current_item) == ("counting", "number 5")
    assert row.progress.bytes_per_second > 0
    assert row.holder == deployment.process_id
    assert row.started_at_us is not None


def test_warnings_are_counted_beyond_those_that_are_kept(deployment: OpenDeployment) -> None:
    name = begin(deployment.store, 2 * attempt.WARNING_COUNT_MAX + 20)

    with running(deployment, Counting()):
        row = ended(deployment, name)

    assert len(row.warnings) == attempt.WARNING_COUNT_MAX
    assert row.progress.warning_count == attempt.WARNING_COUNT_MAX + 10


@pytest.mark.parametrize(
    ("error", "told", "reason"),
    [
        (BackendsUnavailable("all are gone"), "all are gone", "BACKENDS_UNAVAILABLE"),
        (LookupError("at /var/lib/secret"), "internal error: LookupError", "INTERNAL"),
    ],
)
def test_an_error_ends_it_as_failed_with_a_reason(
    deployment: OpenDeployment, error: Exception, told: str, reason: str
) -> None:
    def fail(work: CountingWork, number: int) -> None:
        if number == 3:
            raise error

    name = begin(deployment.store, 5)
    with running(deployment, Counting(at=fail)):
        row = ended(deployment, name)

    assert (row.state, row.error, row.error_reason) == (OperationState.FAILED, told, reason)
    assert row.progress.done_count == 2


def test_a_request_that_no_work_can_be_made_of_fails(deployment: OpenDeployment) -> None:
    name = begin(deployment.store, 5, broken=True)

    with running(deployment, Counting()):
        assert ended(deployment, name).state is OperationState.FAILED


def test_one_that_is_left_is_gone_on_with_by_the_next_from_its_cursor(deployment: OpenDeployment) -> None:
    gate = Gate(number=3)
    counting = Counting(at=gate)
    name = begin(deployment.store, 5)
    with running(deployment, counting) as first:
        assert gate.reached.wait(WAIT_S)
        stopping = threading.Thread(target=first.stop, args=(WAIT_S,))
        stopping.start()
        gate.opened.set()
        stopping.join()
    left = look(deployment.store, name)
    assert (left.state, left.cursor) == (OperationState.RUNNING, "3")

    later = Counting()
    with running(deployment, later):
        assert ended(deployment, name).progress.done_count == 5

    assert (counting.counted, later.counted) == ([1, 2, 3], [4, 5])
    assert later.measured_count == 0


def test_what_is_cancelled_stops_after_the_step_at_hand_and_puts_right_what_it_must(
    deployment: OpenDeployment,
) -> None:
    gate = Gate(number=2)
    counting = Counting(at=gate)
    name = begin(deployment.store, 5)

    with running(deployment, counting):
        assert gate.reached.wait(WAIT_S)
        cancel(deployment, name)
        gate.opened.set()
        row = ended(deployment, name)

    assert (row.state, row.cancelled_by) == (OperationState.CANCELLED, "bob")
    assert (counting.counted, counting.cancelled_count) == ([1, 2], 1)
    assert row.progress.done_count == 2


def test_what_is_cancelled_before_it_began_does_no_step_but_puts_right_what_it_must(
    deployment: OpenDeployment,
) -> None:
    counting = Counting()
    name = begin(deployment.store, 5)
    cancel(deployment, name)

    with running(deployment, counting):
        assert ended(deployment, name).state is OperationState.CANCELLED

    assert (counting.counted, counting.cancelled_count) == ([], 1)


def test_so_many_run_at_once_and_a_cancelled_one_does_not_wait_for_them(deployment: OpenDeployment) -> None:
    gate = Gate(number=1)
    names = [
        begin(deployment.store, 1, target=f"numbers/{number}")
        for number in range(runner.OPERATION_COUNT_MAX + 2)
    ]

    def states() -> list[OperationState]:
        return [look(deployment.store, name).state for name in names]

    with running(deployment, Counting(at=gate)):
        wait_until(
            lambda: states().count(OperationState.RUNNING) == runner.OPERATION_COUNT_MAX, "all that may run"
        )
        cancel(deployment, names[-1])
        assert ended(deployment, names[-1]).state is OperationState.CANCELLED
        assert states().count(OperationState.PENDING) == 1
        gate.opened.set()
        wait_until(lambda: states().count(OperationState.SUCCEEDED) == len(names) - 1, "all others")


def test_what_an_operation_may_move_a_second_is_kept_and_a_cancel_does_not_wait_for_it(
    deployment: OpenDeployment,
) -> None:
    counting = Counting()
    name = begin(deployment.store, 100, max_bytes_per_second=100)
    started_s = time.monotonic()

    with running(deployment, counting):
        wait_until(lambda: len(counting.counted) >= 1, "the first step")
        cancel(deployment, name)
        assert ended(deployment, name).state is OperationState.CANCELLED

    # A step is worth ten seconds.
    assert time.monotonic() - started_s < 8.0
    assert len(counting.counted) <= 2


def test_a_budget_that_is_shared_holds_and_another_rate_is_taken_at_once(deployment: OpenDeployment) -> None:
    budgets, counting = Budgets(), Counting()
    budgets.limit({"counter": 1})
    name = begin(deployment.store, 20)

    with running(deployment, counting, budgets):
        wait_until(lambda: len(counting.counted) == 1, "the first step")
        budgets.limit({"counter": None})
        ended(deployment, name)

    assert len(counting.counted) == 20


def test_it_gives_way_to_the_data_plane(deployment: OpenDeployment) -> None:
    nice: list[int] = []

    def look_at_nice(work: CountingWork, number: int) -> None:
        nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    name = begin(deployment.store, 1)
    with running(deployment, Counting(at=look_at_nice)):
        ended(deployment, name)

    assert nice == [max(BACKGROUND_NICE, os.getpriority(os.PRIO_PROCESS, 0))]


def test_what_no_kind_is_known_of_waits_for_somebody_who_knows(deployment: OpenDeployment) -> None:
    name = begin(deployment.store, 3)
    other = OperationRunner(deployment, Budgets(), kinds=[])

    other.look()

    assert look(deployment.store, name).state is OperationState.PENDING


@dataclass(kw_only=True)
class Regenerated:
    """As much of a deployment as a runner asks for, with a generation that the test sets."""

    store: Store
    process_id: bytes = b"p" * 16
    generation: int = 1


def test_another_generation_is_worked_on_with_what_it_has(deployment: OpenDeployment) -> None:
    live = Regenerated(store=deployment.store)

    def take_another(work: CountingWork, number: int) -> None:
        if number == 2:
            live.generation = 2

    counting = Counting(at=take_another)
    name = begin(deployment.store, 4)
    with running(cast(OpenDeployment, live), counting):
        row = ended(deployment, name)

    assert (row.state, counting.counted) == (OperationState.SUCCEEDED, [1, 2, 3, 4])
    assert counting.built_count == 2
