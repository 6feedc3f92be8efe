"""Every engine error has a status with a reason, and what is wrong with a field is told with the field."""

from collections.abc import Iterator

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from controlplane.status import STATUSES, Own, plain_status, status_of
from engine import errors
from engine.errors import ConfigProblem, EngineError


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


ENGINE_ERRORS = [each for each in subclasses(EngineError) if each.__module__.startswith("engine.")]


def details(status: status_pb2.Status) -> tuple[error_details_pb2.ErrorInfo, dict[str, str]]:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    for detail in status.details[1:]:
        assert detail.Unpack(bad)
    return info, {each.field: each.description for each in bad.field_violations}


@pytest.mark.parametrize("kind", ENGINE_ERRORS, ids=lambda kind: kind.__name__)
def test_the_table_is_whole(kind: type[EngineError]) -> None:
    assert kind in STATUSES


@pytest.mark.parametrize("answer", STATUSES.values(), ids=lambda answer: answer.reason)
def test_no_error_is_told_as_fine_and_every_reason_is_a_word_for_programs(answer: object) -> None:
    code, reason = answer.code, answer.reason  # type: ignore[attr-defined]

    assert code not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAUTHENTICATED)
    assert reason == reason.upper()
    assert reason.replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (errors.NoSuchBucket(bucket="b"), grpc.StatusCode.NOT_FOUND, "NO_SUCH_BUCKET"),
        (errors.NoSuchResource(name="backends/x"), grpc.StatusCode.NOT_FOUND, "NO_SUCH_RESOURCE"),
        (errors.VersionLocked(), grpc.StatusCode.FAILED_PRECONDITION, "VERSION_LOCKED"),
        (errors.ConcurrentWrite(), grpc.StatusCode.ABORTED, "CONCURRENT_WRITE"),
        (errors.NoSpaceAnywhere(wanted_bytes=1), grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_SPACE"),
        (errors.Overloaded(what="x"), grpc.StatusCode.UNAVAILABLE, "OVERLOADED"),
        (errors.DatabaseUnavailable(), grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"),
        (errors.OutcomeUnknown(), grpc.StatusCode.UNAVAILABLE, "OUTCOME_UNKNOWN"),
        (errors.KeyUnavailable(key_id="k"), grpc.StatusCode.FAILED_PRECONDITION, "KEY_UNAVAILABLE"),
        (errors.CorruptEverywhere(), grpc.StatusCode.DATA_LOSS, "CORRUPT_EVERYWHERE"),
        (errors.WorkerDisabled(worker="w"), grpc.StatusCode.FAILED_PRECONDITION, "WORKER_DISABLED"),
    ],
)
def test_errors_are_told_as_the_table_of_both_planes_says(
    error: EngineError, code: grpc.StatusCode, reason: str
) -> None:
    status = status_of(error)

    info, fields = details(status)
    assert (status.code, info.reason, info.domain, fields) == (code.value[0], reason, "penstock", {})
    assert status.message == str(error)


def test_a_malformed_field_is_named() -> None:
    status = status_of(errors.MalformedField("page_size", "a page size is not negative"))

    info, fields = details(status)
    assert (status.code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT.value[0], "MALFORMED_FIELD")
    assert fields == {"page_size": "a page size is not negative"}


def test_every_problem_of_a_configuration_is_a_violation() -> None:
    problems = (
        ConfigProblem(path="region", line=3, message="no region"),
        ConfigProblem(path="backends[0].path", line=None, message="not there"),
    )

    _, fields = details(status_of(errors.InvalidConfig(problems=problems)))

    assert set(fields) == {"region", "backends[0].path"}
    assert "line 3" in fields["region"]


def test_an_error_nobody_knew_of_goes_by_its_nearest_base() -> None:
    class SocketGone(errors.BackendUnavailable):
        """A fact of tomorrow."""

    info, _ = details(status_of(SocketGone("reset", backend="near")))

    assert info.reason == "BACKEND_UNAVAILABLE"


def test_an_error_without_any_base_tells_nothing() -> None:
    class Surprise(EngineError):
        """A fact that no table knows."""

    status = status_of(Surprise("at /var/lib"))

    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert "/var/lib" not in status.message


def test_a_status_of_the_server_itself_has_a_reason_too() -> None:
    status = plain_status(Own.NO_CALLER, "who?")

    info, _ = details(status)
    assert (status.code, status.message, info.reason) == (16, "who?", "NO_CALLER")
