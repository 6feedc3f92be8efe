"""What callers may send to the control API without harm, and what of it never shows anywhere."""

import logging
import os
import random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from penstock.admin.v1 import (
    config_service_pb2,
    system_service_pb2,
    system_service_pb2_grpc,
    worker_service_pb2,
)
from penstock.admin.v1 import log_service_pb2 as log_pb
from penstock.admin.v1 import log_service_pb2_grpc as log_pb_grpc

from adminctl.output import printable
from controlplane.methods import SERVICES, is_reading
from tests.support.control import TOKENS, RunningPlane, bearer, failure, write_config

METHODS = {
    f"/{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods
}
SECRET = "canary-of-a-secret-0123456789"
EXAMPLES = int(os.environ.get("PENSTOCK_FUZZ_EXAMPLES", "60"))
ODD_TEXTS = (
    *("backends/", "backends/../x", "workers/\x00", "operations/" + "a" * 5000, "/", "%00"),
    *("\u202e", "' OR 1=1 --", "instances/" + "0" * 32),
)
ADMIN = bearer("admin")
FINE = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.OUT_OF_RANGE,
    # Of a stream that has nothing to say, and of work that is waited for.
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""What a caller with every right may be answered, whatever it sends: never INTERNAL, never UNKNOWN."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    more = (
        "identities:\n  - {name: alice, account: main, access_key_id: AKIAALICE, role: superuser, "
        f"secret_access_key: {SECRET}}}\n"
        "telemetry: {log_level: debug}"
    )
    with RunningPlane(write_config(tmp_path_factory.mktemp("abuse"), extra=more)) as plane:
        yield plane


@pytest.fixture(scope="module")
def channel(plane: RunningPlane) -> Iterator[grpc.Channel]:
    with plane.channel() as channel:
        yield channel


def code_of(channel: grpc.Channel, path: str, request: bytes, metadata: Any = ADMIN) -> grpc.StatusCode:
    """What a call of raw bytes ends with, streams after their first answer."""
    method = channel.unary_stream(path, request_serializer=None, response_deserializer=None)
    answers: Any = method(
        request, metadata=metadata, timeout=5.0 if not METHODS[path].server_streaming else 0.5
    )
    try:
        for _ in answers:
            if METHODS[path].server_streaming:
                answers.cancel()
                return grpc.StatusCode.OK
    except grpc.RpcError:
        pass
    code: grpc.StatusCode = answers.code()
    return code


def lives(channel: grpc.Channel) -> bool:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    request = system_service_pb2.GetVersionRequest()
    return bool(stub.GetVersion(request, metadata=bearer("viewer"), timeout=10).version)


@pytest.mark.parametrize(
    "said",
    [
        "Bearer AKIAALICE",
        f"Bearer {SECRET}",
        f"Bearer AKIAALICE:{SECRET}",
        "AWS4-HMAC-SHA256 Credential=AKIAALICE/20270101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
        f"AWS AKIAALICE:{SECRET}",
    ],
)
def test_h10_keys_of_s3_clients_open_nothing(channel: grpc.Channel, said: str) -> None:
    for path in METHODS:
        assert code_of(channel, path, b"", (("authorization", said),)) is grpc.StatusCode.UNAUTHENTICATED


HARMLESS = [path for path in METHODS if is_reading(path)]


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.rpartition(".")[2])
def test_h12_fuzzed_bytes_are_refused_and_the_process_lives(channel: grpc.Channel, path: str) -> None:
    """Bytes that are no message are INVALID_ARGUMENT; those that happen to be one are answered for what they say."""
    kind = message_factory.GetMessageClass(METHODS[path].input_type)
    chance = random.Random(path)
    for _ in range(20):
        data = chance.randbytes(chance.choice((1, 3, 10, 100, 5000)))
        try:
            kind.FromString(data)
        except Exception:
            assert code_of(channel, path, data) is grpc.StatusCode.INVALID_ARGUMENT
        else:
            if path in HARMLESS:
                assert code_of(channel, path, data) in FINE
    assert lives(channel)


@pytest.mark.parametrize("path", HARMLESS, ids=lambda path: path.rpartition(".")[2])
@settings(max_examples=EXAMPLES // 4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_messages_in_order_with_odd_contents_are_answered(
    channel: grpc.Channel, path: str, data: st.DataObject
) -> None:
    kind: Any = message_factory.GetMessageClass(METHODS[path].input_type)
    request = kind()
    texts = st.one_of(st.text(max_size=300), st.sampled_from(ODD_TEXTS))
    for field in METHODS[path].input_type.fields:
        if field.is_repeated or field.message_type is not None or not data.draw(st.booleans()):
            continue
        if field.type == field.TYPE_STRING:
            setattr(request, field.name, data.draw(texts).encode("utf-8", "replace").decode())
        elif field.type == field.TYPE_INT32 or field.type == field.TYPE_ENUM:
            setattr(request, field.name, data.draw(st.integers(-(2**31), 2**31 - 1)))
        elif field.type == field.TYPE_INT64:
            setattr(request, field.name, data.draw(st.integers(-(2**63), 2**63 - 1)))
        elif field.type == field.TYPE_DOUBLE:
            setattr(request, field.name, data.draw(st.floats(allow_nan=True)))

    assert code_of(channel, path, request.SerializeToString()) in FINE


def test_h12_a_million_items_are_refused_or_answered(channel: grpc.Channel) -> None:
    """A message of two million items of a field that nobody knows, and one of whatever may be repeated."""
    unknown = b"\x82\x7d\x00" * 1_000_000
    assert code_of(channel, "/penstock.admin.v1.WorkerService/GetWorker", unknown) in FINE
    for path in HARMLESS:
        for field in METHODS[path].input_type.fields:
            if field.is_repeated:
                one = bytes([field.number << 3 | 2, 0])
                assert code_of(channel, path, one * 1_000_000) in FINE
    assert lives(channel)


def test_h12_any_and_struct_nest_without_end_to_no_harm(channel: grpc.Channel) -> None:
    deep = b""
    for _ in range(5000):
        # A message within field 1 within field 1 …
        length = len(deep)
        head = bytearray(b"\x0a")
        while length > 127:
            head.append(length & 127 | 128)
            length >>= 7
        head.append(length)
        deep = bytes(head) + deep
    for path in HARMLESS:
        assert code_of(channel, path, deep) in FINE
    assert lives(channel)


@pytest.mark.parametrize("own", ["", "x" * 65, "x" * 8000, "a b", "a/b", "{}"])
def test_h22_a_callers_own_request_id_that_is_long_or_odd_is_ignored(channel: grpc.Channel, own: str) -> None:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    method: Any = stub.GetVersion
    _, call = method.with_call(
        system_service_pb2.GetVersionRequest(),
        metadata=(*bearer("viewer"), ("x-request-id", own)),
        timeout=10,
    )

    (told,) = [value for key, value in call.trailing_metadata() if key == "x-request-id"]
    assert len(told) == 32
    assert set(told) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "path",
    [
        "penstock.admin.v1.WorkerService/ListWorkers",
        "//penstock.admin.v1.WorkerService/ListWorkers",
        "/penstock.admin.v1.workerservice/ListWorkers",
        "/penstock.admin.v1.WorkerService/listWorkers",
        "/penstock.admin.v1.WorkerService/ListWorkers/",
    ],
)
@pytest.mark.parametrize("role", [None, "admin"])
def test_a_path_in_another_writing_is_no_method(channel: grpc.Channel, path: str, role: str | None) -> None:
    method = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
    failed = failure(lambda: method(b"", metadata=bearer(role) if role else (), timeout=10))

    assert failed.code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED)


def test_h24_log_lines_and_names_do_not_steer_a_terminal() -> None:
    assert printable("\x1b]0;owned\x07\r\n=cmd()") == "\\x1b]0;owned\\x07\\r\\n=cmd()"


def test_secrets_show_in_no_answer_no_log_and_no_audit(
    plane: RunningPlane, channel: grpc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    """At the level debug, over every method that a viewer may call, and with tokens and configurations gone wrong."""
    caplog.set_level(logging.DEBUG)
    told: list[bytes] = []
    for path in METHODS:
        method = channel.unary_stream(path, request_serializer=None, response_deserializer=None)
        answers: Any = method(b"", metadata=bearer("admin" if is_reading(path) else "viewer"), timeout=0.5)
        try:
            told += list(answers)
        except grpc.RpcError:
            told.append(str(answers.trailing_metadata()).encode() + (answers.details() or "").encode())
    raw = f"identities: [{{name: x, secret_access_key: {SECRET}}}]\nadmin_tokens: {TOKENS['admin']}"
    validate = channel.unary_unary(
        "/penstock.admin.v1.ConfigService/ValidateConfig",
        request_serializer=config_service_pb2.ValidateConfigRequest.SerializeToString,
        response_deserializer=None,
    )
    told.append(
        validate(config_service_pb2.ValidateConfigRequest(raw=raw), metadata=bearer("admin"), timeout=10)
    )
    trigger = channel.unary_unary(
        "/penstock.admin.v1.WorkerService/TriggerWorker", request_serializer=None, response_deserializer=None
    )
    request = worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup").SerializeToString()
    trigger(request, metadata=bearer("operator"), timeout=10)
    audit = log_pb_grpc.LogServiceStub(channel).ListAuditEvents(
        log_pb.ListAuditEventsRequest(page_size=1000), metadata=bearer("admin"), timeout=10
    )

    everything = b"".join(told) + str(audit).encode() + caplog.text.encode()
    everything += "".join(str(vars(record)) for record in caplog.records).encode()
    assert audit.events
    for canary in (SECRET, *TOKENS.values()):
        assert canary.encode() not in everything
