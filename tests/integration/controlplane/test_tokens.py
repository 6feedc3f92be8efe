"""Tokens are held to their scopes and end at their time, for calls that begin and for streams that go on."""

import hashlib
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from penstock.admin.v1 import (
    system_service_pb2,
    system_service_pb2_grpc,
    usage_service_pb2,
    usage_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)

from engine.metadata.identities import apply_admin_token
from tests.support.control import RunningPlane, failure, wait_until, write_config

SCOPED = "scoped-token-0123456789abcdef"
EXPIRED = "expired-token-0123456789abcdef"
LASTING = "lasting-token-0123456789abcdef"
TOKENS = (
    f"name: scoped, role: operator, sha256: {hashlib.sha256(SCOPED.encode()).hexdigest()}, scopes: [WorkerService/*]",
    f"name: expired, role: admin, sha256: {hashlib.sha256(EXPIRED.encode()).hexdigest()}, "
    'expires: "2001-01-01T00:00:00Z"',
    f"name: lasting, role: admin, sha256: {hashlib.sha256(LASTING.encode()).hexdigest()}, "
    'expires: "2101-01-01T00:00:00Z"',
)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    config = write_config(tmp_path_factory.mktemp("tokens"), more_tokens=TOKENS)
    with RunningPlane(config) as plane:
        yield plane


@pytest.fixture
def channel(plane: RunningPlane) -> Iterator[grpc.Channel]:
    with plane.channel() as channel:
        yield channel


def of(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def get_version(channel: grpc.Channel, token: str) -> str:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    return stub.GetVersion(system_service_pb2.GetVersionRequest(), metadata=of(token), timeout=10).version


def test_a_scoped_token_does_what_it_is_for_and_nothing_else(channel: grpc.Channel) -> None:
    workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
    listed = workers.ListWorkers(worker_service_pb2.ListWorkersRequest(), metadata=of(SCOPED), timeout=10)
    refused = failure(lambda: get_version(channel, SCOPED))

    usage = usage_service_pb2_grpc.UsageServiceStub(channel)
    of_buckets = failure(
        lambda: usage.ListBucketUsage(
            usage_service_pb2.ListBucketUsageRequest(), metadata=of(SCOPED), timeout=10
        )
    )

    assert listed.workers
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE")
    assert (of_buckets.code, of_buckets.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE")


def test_what_a_call_carried_opens_no_other_method(plane: RunningPlane) -> None:
    """A captured call is bytes and metadata: whatever they were sent with, the method that is dispatched decides."""
    captured: list[tuple[bytes, tuple[tuple[str, str], ...]]] = [
        (worker_service_pb2.GetWorkerRequest(name="workers/cleanup").SerializeToString(), of(SCOPED))
    ]
    request, metadata = captured[0]

    with plane.channel() as channel:
        for path in (
            "/penstock.admin.v1.BackendService/GetBackend",
            "/penstock.admin.v1.SystemService/GetInstance",
            "/penstock.admin.v1.OperationService/GetOperation",
        ):
            called = (("x-method", "/penstock.admin.v1.WorkerService/GetWorker"), (":path", "ignored"))[:1]
            method = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
            replayed = failure(
                lambda method=method, called=called: method(  # type: ignore[misc]
                    request, metadata=(*metadata, *called), timeout=10
                )
            )
            assert replayed.code is grpc.StatusCode.PERMISSION_DENIED


def test_an_expired_token_is_a_strangers(channel: grpc.Channel) -> None:
    refused = failure(lambda: get_version(channel, EXPIRED))

    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "NO_CALLER")
    assert get_version(channel, LASTING)


def test_a_token_that_ends_takes_its_streams_along(plane: RunningPlane, channel: grpc.Channel) -> None:
    digest = hashlib.sha256(b"short-token-0123456789abcdef").digest()

    def make(*, expires_at_us: int | None) -> None:
        plane.opened.store.write(
            lambda tx: apply_admin_token(
                tx, name="short", role="viewer", sha256=digest, expires_at_us=expires_at_us
            )
        )

    make(expires_at_us=None)
    stub = health_pb2_grpc.HealthStub(channel)
    watched = stub.Watch(
        health_pb2.HealthCheckRequest(), metadata=of("short-token-0123456789abcdef"), timeout=30
    )
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING

    make(expires_at_us=1)

    wait_until(watched.done, "the end of the stream")
    assert watched.code() is grpc.StatusCode.UNAUTHENTICATED
