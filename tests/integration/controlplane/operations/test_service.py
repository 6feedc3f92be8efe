"""OperationService: operations are listed, waited for, followed, cancelled and forgotten as their rows say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from penstock.admin.v1 import operation_pb2, watch_pb2
from penstock.admin.v1 import operation_service_pb2 as pb
from penstock.admin.v1 import operation_service_pb2_grpc as pb_grpc

from controlplane.fields import write_page_token
from engine.errors import DatabaseUnavailable
from engine.metadata.store import Store
from tests.integration.controlplane.operations.works import METHOD, Counting, Gate, begin
from tests.support.control import RunningPlane, failure, wait_until, write_config

WAIT_S = 20.0
RUNNING, SUCCEEDED = operation_pb2.OPERATION_STATE_RUNNING, operation_pb2.OPERATION_STATE_SUCCEEDED
CANCELLED = operation_pb2.OPERATION_STATE_CANCELLED


class AwayStore:
    """A store whose database is away when the test says so."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_away = False
        self.refused_count = 0

    def __getattr__(self, name: str) -> Any:
        if self.is_away and name in ("read", "look", "write"):
            self.refused_count += 1
            raise DatabaseUnavailable("away")
        return getattr(self._store, name)


class Rig:
    """A plane that counts, up to a gate at 3."""

    def __init__(self, folder: Path) -> None:
        self.gate = Gate(number=3)
        self.counting = Counting(at=self.gate)
        self.plane = RunningPlane(write_config(folder), kinds=[self.counting.kind], wrap_store=self._wrap)

    def begin(self, to: int = 5, **options: Any) -> str:
        return begin(self.plane.opened.store, to, **options)

    def _wrap(self, store: Store) -> Store:
        self.store = AwayStore(store)
        return cast(Store, self.store)

    def reach_gate(self) -> None:
        assert self.gate.reached.wait(WAIT_S)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    with made.plane:
        yield made
        made.gate.opened.set()


@pytest.fixture
def stub(rig: Rig) -> Iterator[pb_grpc.OperationServiceStub]:
    with rig.plane.channel(socket="admin") as channel:
        yield pb_grpc.OperationServiceStub(channel)


def get(stub: pb_grpc.OperationServiceStub, name: str) -> operation_pb2.Operation:
    return stub.GetOperation(pb.GetOperationRequest(name=name), timeout=WAIT_S).operation


def test_an_operation_is_told_whole(rig: Rig, stub: pb_grpc.OperationServiceStub) -> None:
    rig.gate.opened.set()
    name = rig.begin(5)

    waited = stub.WaitOperation(pb.WaitOperationRequest(name=name), timeout=WAIT_S).operation

    assert get(stub, name) == waited
    told = MessageToDict(waited, preserving_proto_field_name=True)
    assert (told["state"], told["done"]) == ("OPERATION_STATE_SUCCEEDED", True)
    assert (told["method"], told["target"], told["creator"]) == (METHOD, "numbers/natural", "tester")
    assert (told["request"], told["result"]) == ({"to": 5}, {"counted_to": 5})
    assert told["warnings"] == ["1 is odd", "3 is odd", "5 is odd"]
    assert told["process"] == rig.plane.opened.process_id.hex()
    progress = told["progress"]
    assert (progress["done_count"], progress["total_count"], progress["warning_count"]) == ("5", "5", "3")
    assert (progress["done_bytes"], progress["total_bytes"]) == ("5000", "5000")
    assert (progress["stage"], progress["current_item"]) == ("counting", "number 5")
    assert "eta" not in progress
    assert told["create_time"] <= told["start_time"] <= told["end_time"]


def test_one_that_is_at_work_says_how_long_it_will_be(rig: Rig, stub: pb_grpc.OperationServiceStub) -> None:
    name = rig.begin(5)
    rig.reach_gate()

    told = get(stub, name)

    assert (told.state, told.done, told.progress.done_count) == (RUNNING, False, 2)
    assert told.progress.HasField("eta")
    assert told.progress.bytes_per_second > 0
    assert not told.HasField("result")


def test_pages_of_operations_add_up_and_are_of_what_was_asked(
    rig: Rig, stub: pb_grpc.OperationServiceStub
) -> None:
    rig.gate.opened.set()
    names = [rig.begin(1, target=f"numbers/{number}") for number in range(5)]
    for name in names:
        stub.WaitOperation(pb.WaitOperationRequest(name=name), timeout=WAIT_S)

    paged, token = [], ""
    while True:
        page = stub.ListOperations(
            pb.ListOperationsRequest(page_size=2, page_token=token, method=METHOD), timeout=WAIT_S
        )
        paged += [each.name for each in page.operations]
        token = page.next_page_token
        if not token:
            break
    one = stub.ListOperations(pb.ListOperationsRequest(target="numbers/3"), timeout=WAIT_S).operations
    none = stub.ListOperations(pb.ListOperationsRequest(method=METHOD, state=RUNNING), timeout=WAIT_S)

    assert paged == names[::-1]
    assert [each.name for each in one] == [names[3]]
    assert not one[0].warnings
    assert one[0].progress.warning_count == 1
    assert not none.operations


@pytest.mark.parametrize("position", ["x", "12", "12 ", " operations/1", "99999999999999999999 x", "-1 x"])
def test_a_token_of_another_list_is_refused(stub: pb_grpc.OperationServiceStub, position: str) -> None:
    request = pb.ListOperationsRequest(page_token=write_page_token(position))

    failed = failure(lambda: stub.ListOperations(request, timeout=WAIT_S))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["page_token"])


def test_a_wait_ends_after_its_time_and_says_how_things_stand(
    rig: Rig, stub: pb_grpc.OperationServiceStub
) -> None:
    name = rig.begin(5)
    rig.reach_gate()

    request = pb.WaitOperationRequest(name=name, timeout=Duration(nanos=50_000_000))
    waited = stub.WaitOperation(request, timeout=WAIT_S).operation
    by_deadline = stub.WaitOperation(pb.WaitOperationRequest(name=name), timeout=1.0).operation

    assert (waited.state, by_deadline.state) == (RUNNING, RUNNING)
    negative = pb.WaitOperationRequest(name=name, timeout=Duration(seconds=-1))
    assert list(failure(lambda: stub.WaitOperation(negative, timeout=WAIT_S)).fields) == ["timeout"]


def test_who_follows_sees_how_it_stands_every_change_and_the_end(
    rig: Rig, stub: pb_grpc.OperationServiceStub
) -> None:
    name = rig.begin(5)
    rig.reach_gate()

    answers = []
    for answer in stub.WatchOperation(pb.WatchOperationRequest(name=name), timeout=WAIT_S):
        answers.append(answer)
        rig.gate.opened.set()

    assert answers[0].kind == watch_pb2.WATCH_KIND_SNAPSHOT
    assert (answers[0].operation.state, answers[0].operation.progress.done_count) == (RUNNING, 2)
    assert {answer.kind for answer in answers[1:]} == {watch_pb2.WATCH_KIND_CHANGE}
    assert (answers[-1].operation.state, answers[-1].operation.progress.done_count) == (SUCCEEDED, 5)


def test_who_follows_one_that_has_ended_sees_it_once(rig: Rig, stub: pb_grpc.OperationServiceStub) -> None:
    rig.gate.opened.set()
    name = rig.begin(1)
    stub.WaitOperation(pb.WaitOperationRequest(name=name), timeout=WAIT_S)

    answers = list(stub.WatchOperation(pb.WatchOperationRequest(name=name), timeout=WAIT_S))

    assert [answer.operation.state for answer in answers] == [SUCCEEDED]


def test_who_follows_is_told_when_the_server_stops(rig: Rig, stub: pb_grpc.OperationServiceStub) -> None:
    name = rig.begin(5)
    rig.reach_gate()
    watching: Any = stub.WatchOperation(pb.WatchOperationRequest(name=name), timeout=WAIT_S)
    next(watching)

    stopped = rig.plane.stop_serving()
    failed = failure(lambda: list(watching))
    rig.gate.opened.set()
    stopped.result(WAIT_S)

    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


def test_what_is_cancelled_ends_as_cancelled_and_says_by_whom(
    rig: Rig, stub: pb_grpc.OperationServiceStub
) -> None:
    name = rig.begin(5)
    rig.reach_gate()

    told = stub.CancelOperation(pb.CancelOperationRequest(name=name), timeout=WAIT_S).operation
    rig.gate.opened.set()
    ended = stub.WaitOperation(pb.WaitOperationRequest(name=name), timeout=WAIT_S).operation
    again = stub.CancelOperation(pb.CancelOperationRequest(name=name), timeout=WAIT_S).operation

    assert (told.state, told.cancel_requested, told.canceller) == (RUNNING, True, "local")
    assert (ended.state, ended.progress.done_count) == (CANCELLED, 3)
    assert again == ended


def test_only_what_has_ended_is_forgotten(rig: Rig, stub: pb_grpc.OperationServiceStub) -> None:
    name = rig.begin(5)
    rig.reach_gate()
    request = pb.DeleteOperationRequest(name=name)

    failed = failure(lambda: stub.DeleteOperation(request, timeout=WAIT_S))
    rig.gate.opened.set()
    stub.WaitOperation(pb.WaitOperationRequest(name=name), timeout=WAIT_S)
    stub.DeleteOperation(request, timeout=WAIT_S)

    assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_OPEN")
    assert failure(lambda: get(stub, name)).code is grpc.StatusCode.NOT_FOUND


def test_a_deleted_one_is_followed_no_further(rig: Rig, stub: pb_grpc.OperationServiceStub) -> None:
    missing = pb.WatchOperationRequest(name="operations/none")

    failed = failure(lambda: list(stub.WatchOperation(missing, timeout=WAIT_S)))

    assert failed.code is grpc.StatusCode.NOT_FOUND


def test_a_watch_outlasts_a_database_that_is_away(rig: Rig, stub: pb_grpc.OperationServiceStub) -> None:
    name = rig.begin(5)
    rig.reach_gate()
    watching: Any = stub.WatchOperation(pb.WatchOperationRequest(name=name), timeout=WAIT_S)
    next(watching)

    rig.store.is_away = True
    wait_until(lambda: rig.store.refused_count > 3, "looks in vain")
    rig.store.is_away = False
    rig.gate.opened.set()
    answers = list(watching)

    assert answers[-1].operation.state == SUCCEEDED
