"""Who may call what: strangers nothing, roles what they are for, and bad messages are refused without harm."""

import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from penstock.admin.v1 import roles_pb2, system_service_pb2, system_service_pb2_grpc

from controlplane.methods import SERVICES, required_roles
from engine.errors import DatabaseUnavailable
from engine.metadata.store import Store
from tests.support.control import TOKENS, Failure, RunningPlane, bearer, failure, wait_until, write_config

ROLES = {"viewer": roles_pb2.ROLE_VIEWER, "operator": roles_pb2.ROLE_OPERATOR, "admin": roles_pb2.ROLE_ADMIN}
METHODS = {
    f"/{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods
}
EVERY_METHOD = pytest.mark.parametrize("path", METHODS, ids=lambda path: path.rpartition(".")[2])
MALFORMED = b"\x0a\xff\xff\xff\xff"
"""A field that claims more bytes than there are."""


@pytest.fixture
def channel(shared_plane: RunningPlane) -> Iterator[grpc.Channel]:
    with shared_plane.channel() as channel:
        yield channel


def call(
    channel: grpc.Channel,
    path: str,
    request: bytes = b"",
    metadata: tuple[tuple[str, str], ...] = (),
    timeout_s: float = 10.0,
) -> bytes:
    """A call of raw bytes. Of a stream the first answer, or nothing when there is none for a while."""
    if path in METHODS and METHODS[path].server_streaming:
        return first_of(channel, path, request, metadata)
    method = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
    answer: bytes = method(request, metadata=metadata, timeout=timeout_s)
    return answer


def first_of(
    channel: grpc.Channel, path: str, request: bytes, metadata: tuple[tuple[str, str], ...]
) -> bytes:
    method = channel.unary_stream(path, request_serializer=None, response_deserializer=None)
    answers: Any = method(request, metadata=metadata, timeout=1.0)
    try:
        found: bytes = next(answers, b"")
    except grpc.RpcError:
        if answers.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return b""
        raise
    finally:
        answers.cancel()
    return found


def get_version(
    channel: grpc.Channel, metadata: tuple[tuple[str, str], ...]
) -> system_service_pb2.GetVersionResponse:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    return stub.GetVersion(system_service_pb2.GetVersionRequest(), metadata=metadata, timeout=10)


def answered(method: MethodDescriptor, data: bytes) -> bool:
    kind = message_factory.GetMessageClass(method.output_type)
    return isinstance(kind.FromString(data), kind)


@EVERY_METHOD
def test_without_a_token_nobody_gets_in(channel: grpc.Channel, path: str) -> None:
    failed = failure(lambda: call(channel, path))

    assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "NO_CALLER")


@EVERY_METHOD
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_it_is_for_and_nothing_above(channel: grpc.Channel, path: str, role: str) -> None:
    try:
        data = call(channel, path, metadata=bearer(role))
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        denied = error.code() is grpc.StatusCode.PERMISSION_DENIED
        # An empty message is refused for its fields by methods that want some, and where there is no cache by those of
        # the cache, which proves that it got there.
        got_there = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
        assert denied or error.code() in got_there
    else:
        denied = False
        assert answered(METHODS[path], data)
    assert denied == (ROLES[role] < required_roles()[path])


@pytest.mark.parametrize(
    "metadata",
    [
        (("authorization", "Bearer wrong-token-0123456789abcdef"),),
        (("authorization", f"Bearer {TOKENS['admin']}x"),),
        (("authorization", f"Bearer {TOKENS['admin'][:-1]}"),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer"),),
        (("authorization", TOKENS["admin"]),),
        (("authorization", f"Basic {TOKENS['admin']}"),),
        (("authorization", f"Bearer {TOKENS['viewer']}"), ("authorization", f"Bearer {TOKENS['admin']}")),
        (("authorization-bin", f"Bearer {TOKENS['admin']}"),),
        (("x-authorization", f"Bearer {TOKENS['admin']}"),),
        (("authorization", f"AWS4-HMAC-SHA256 Credential={TOKENS['admin']}"),),
    ],
)
def test_anything_but_one_whole_token_is_a_stranger(
    channel: grpc.Channel, metadata: tuple[tuple[str, str], ...]
) -> None:
    encoded = tuple((key, value.encode() if key.endswith("-bin") else value) for key, value in metadata)

    failed = failure(lambda: get_version(channel, encoded))  # type: ignore[arg-type]

    assert failed.code is grpc.StatusCode.UNAUTHENTICATED
    assert TOKENS["admin"] not in failed.text


def test_the_scheme_is_read_in_any_case(channel: grpc.Channel) -> None:
    assert get_version(channel, (("authorization", f"bearer {TOKENS['viewer']}"),)).version


@EVERY_METHOD
def test_a_malformed_message_is_refused_and_the_server_lives(channel: grpc.Channel, path: str) -> None:
    failed = failure(lambda: call(channel, path, MALFORMED, bearer("admin")))

    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
    assert get_version(channel, bearer("viewer")).version


def test_a_stranger_does_not_learn_whether_a_message_is_malformed(channel: grpc.Channel) -> None:
    failed = failure(lambda: call(channel, next(iter(METHODS)), MALFORMED))

    assert failed.code is grpc.StatusCode.UNAUTHENTICATED


def test_a_message_that_nests_without_end_is_refused(channel: grpc.Channel) -> None:
    # GetBackendRequest knows no field 15: nested groups of an unknown field are skipped, to a depth.
    failed = failure(
        lambda: call(
            channel, "/penstock.admin.v1.BackendService/GetBackend", b"\x7b" * 20_000, bearer("admin")
        )
    )

    assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
    assert get_version(channel, bearer("viewer")).version


def test_a_message_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    path = "/penstock.admin.v1.ConfigService/ValidateConfig"

    failed = failure(lambda: call(channel, path, bytes(64 * 1024 * 1024), bearer("admin")))

    assert failed.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_over_the_limit_is_refused(shared_plane: RunningPlane) -> None:
    # A connection of its own: the transport may end it.
    with shared_plane.channel() as channel:
        failed = failure(lambda: get_version(channel, (*bearer("viewer"), ("x-filler", "x" * 1024 * 1024))))

    assert failed.code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
    with shared_plane.channel() as channel:
        assert get_version(channel, bearer("viewer")).version


@pytest.mark.parametrize(
    "path",
    [
        "/penstock.admin.v1.SystemService/Vanish",
        "/penstock.admin.v1.SystemService/",
        "/penstock.admin.v2.SystemService/GetVersion",
        "/PENSTOCK.admin.v1.SystemService/GetVersion",
        "/x",
    ],
)
def test_an_unknown_method_is_unimplemented(channel: grpc.Channel, path: str) -> None:
    assert failure(lambda: call(channel, path, b"", bearer("admin"))).code is grpc.StatusCode.UNIMPLEMENTED


def test_reflection_is_not_for_the_network(channel: grpc.Channel) -> None:
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

    assert failure(lambda: call(channel, path, b"", bearer("admin"))).code is grpc.StatusCode.UNIMPLEMENTED


def test_health_is_for_callers_only(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest()

    stranger = failure(lambda: stub.Check(request, timeout=10))
    known = stub.Check(request, timeout=10, metadata=bearer("viewer"))

    assert stranger.code is grpc.StatusCode.UNAUTHENTICATED
    assert known.status == health_pb2.HealthCheckResponse.SERVING


def test_a_stream_needs_a_caller_too(channel: grpc.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest()

    stranger = failure(lambda: next(stub.Watch(request, timeout=10)))
    watched = stub.Watch(request, timeout=10, metadata=bearer("viewer"))

    assert stranger.code is grpc.StatusCode.UNAUTHENTICATED
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()


class Breaking:
    """A store that can be made to fail; implements `engine.metadata.store.Store`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.error: Exception | None = None

    @property
    def waits_for_network(self) -> bool:
        return self._store.waits_for_network

    def read(self, unit, /):  # type: ignore[no-untyped-def]
        if self.error is not None:
            raise self.error
        return self._store.read(unit)

    def look(self, statement, params, /):  # type: ignore[no-untyped-def]
        if self.error is not None:
            raise self.error
        return self._store.look(statement, params)

    def write(self, unit, /, **options):  # type: ignore[no-untyped-def]
        if self.error is not None:
            raise self.error
        return self._store.write(unit, **options)

    def close(self) -> None:
        self._store.close()


@pytest.fixture
def breaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningPlane, list[Breaking]]]:
    made: list[Breaking] = []

    def wrap(store: Store) -> Store:
        made.append(Breaking(store))
        return made[0]

    with RunningPlane(write_config(tmp_path_factory.mktemp("breaking")), wrap_store=wrap) as plane:
        yield plane, made
        made[0].error = None


WITHOUT_ROWS = (
    *("GetVersion", "ValidateConfig", "GetHealth", "GetCaller"),
    *("TailLogs", "TraceRequests", "ListLogLevels", "GetCacheStats"),
)
"""What goes on without the database, whoever may call it."""

METHODS_OF_ROWS = [path for path in METHODS if path.rpartition("/")[2] not in WITHOUT_ROWS]


NAMES = {
    "BackendService": "backends/v1",
    "OperationService": "operations/x",
    "SystemService": "instances/" + "0" * 32,
    "WorkerService": "workers/cleanup",
}
"""By service, a name in order for its requests that have one."""


def requests_of(path: str) -> bytes:
    """A request whose fields are in order if that takes no more than a name, so that the database is asked."""
    method = METHODS[path]
    kind = message_factory.GetMessageClass(method.input_type)
    if method.name == "GetObjectLocations":
        return kind(bucket="photos", key="k").SerializeToString()
    is_named = "name" in method.input_type.fields_by_name and method.containing_service.name in NAMES
    return (kind(name=NAMES[method.containing_service.name]) if is_named else kind()).SerializeToString()


@pytest.mark.parametrize("socket", [None, "admin"], ids=["token", "socket"])
def test_without_the_database_calls_are_unavailable_and_come_back_with_it(
    breaking: tuple[RunningPlane, list[Breaking]], socket: str | None
) -> None:
    plane, (store,) = breaking
    metadata = bearer("admin") if socket is None else ()

    def codes(channel: grpc.Channel) -> dict[str, Failure]:
        return {
            path: failure(lambda path=path: call(channel, path, requests_of(path), metadata))  # type: ignore[misc]
            for path in METHODS_OF_ROWS
        }

    with plane.channel(socket=socket) as channel:
        store.error = DatabaseUnavailable("the disk is gone")
        failed = codes(channel)
        store.error = None
        answered_again = call(channel, "/penstock.admin.v1.BackendService/ListBackends", b"", metadata)

    # What wants more than a name is refused for its fields before the database is asked.
    asked = {path: each for path, each in failed.items() if each.code is not grpc.StatusCode.INVALID_ARGUMENT}
    assert len(asked) > len(NAMES)
    assert {each.code for each in asked.values()} == {grpc.StatusCode.UNAVAILABLE}
    assert {each.reason for each in asked.values()} == {"DATABASE_UNAVAILABLE"}
    assert answered_again


def test_an_unforeseen_error_is_internal_and_tells_nothing(
    breaking: tuple[RunningPlane, list[Breaking]], caplog: pytest.LogCaptureFixture
) -> None:
    plane, (store,) = breaking
    store.error = LookupError("at /var/lib/secret")

    with plane.channel(socket="admin") as channel:
        failed = failure(lambda: call(channel, "/penstock.admin.v1.BackendService/ListBackends"))

    assert (failed.code, failed.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "/var/lib" not in failed.text
    assert "at /var/lib/secret" in caplog.text


def test_a_look_up_of_a_caller_that_breaks_tells_nothing_either(
    breaking: tuple[RunningPlane, list[Breaking]],
) -> None:
    plane, (store,) = breaking
    store.error = LookupError("at /var/lib/secret")

    with plane.channel() as channel:
        failed = failure(lambda: get_version(channel, bearer("admin")))

    assert (failed.code, failed.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "/var/lib" not in failed.text


def test_calls_are_logged_with_who_and_what_became_of_them_and_without_tokens(
    shared_plane: RunningPlane, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="penstock.control")

    with shared_plane.channel() as channel:
        get_version(channel, bearer("operator"))
        failure(lambda: get_version(channel, (("authorization", "Bearer wrong-token-0123456789abcdef"),)))

    def told() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.getMessage() == "call.ended"]

    # The line of a refused call may come a moment after its answer.
    wait_until(lambda: len(told()) == 2, "two lines")
    assert [(r.caller, r.code) for r in told()] == [  # type: ignore[attr-defined]
        ("operator-1", "OK"),
        (None, "UNAUTHENTICATED"),
    ]
    assert not any(TOKENS["operator"] in str(vars(record)) for record in told())
