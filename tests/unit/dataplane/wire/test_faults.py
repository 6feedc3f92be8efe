"""Every engine error has an answer, every answer is a document that parses, and none tells secrets."""

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from dataplane.wire.faults import FAULTS, INTERNAL, Refusal, error_document, fault_of, refusal_of
from dataplane.wire.refusals import InvalidArgument, MethodNotAllowed, S3Fault, WireError
from engine import errors
from engine.errors import EngineError
from engine.names import BucketName


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


@pytest.mark.parametrize(
    "kind",
    [k for k in subclasses(EngineError) if k.__module__.startswith("engine.")],
    ids=lambda k: k.__name__,
)
def test_the_table_is_whole(kind: type[EngineError]) -> None:
    assert kind in FAULTS


@pytest.mark.parametrize("kind", list(subclasses(WireError)), ids=lambda k: k.__name__)
def test_every_refusal_of_the_wire_has_a_code_and_a_status(kind: type[WireError]) -> None:
    assert isinstance(kind.fault, S3Fault)
    assert 400 <= kind.fault.status <= 599


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (errors.NoSuchKey(bucket="b", key=b"k"), "NoSuchKey", 404),
        (errors.NoSuchBucket(bucket="b"), "NoSuchBucket", 404),
        (errors.NoSuchUpload(upload_id="u"), "NoSuchUpload", 404),
        (errors.NoSuchVersion(bucket="b", key=b"k", version_id="v"), "NoSuchVersion", 404),
        (errors.BucketExists(bucket="b", owned_by_caller=True), "BucketAlreadyOwnedByYou", 409),
        (errors.BucketExists(bucket="b", owned_by_caller=False), "BucketAlreadyExists", 409),
        (errors.DigestMismatch(what="md5", expected=b"", computed=b""), "BadDigest", 400),
        (errors.DigestMismatch(what="CRC32", expected=b"", computed=b""), "BadDigest", 400),
        (errors.DigestMismatch(what="sha256", expected=b"", computed=b""), "XAmzContentSHA256Mismatch", 400),
        (errors.PreconditionFailed(condition="If-Match"), "PreconditionFailed", 412),
        (errors.ConcurrentWrite(), "ConditionalRequestConflict", 409),
        (errors.VersionLocked(), "AccessDenied", 403),
        (errors.BucketQuotaExceeded(bucket="b", wanted_bytes=1), "QuotaExceeded", 403),
        (errors.NoSpaceAnywhere(wanted_bytes=1), "InsufficientStorage", 507),
        (errors.Overloaded(what="x"), "SlowDown", 503),
        (errors.NotEnoughDomains(wanted_count=2, domain_count=1), "SlowDown", 503),
        (errors.DatabaseUnavailable(), "ServiceUnavailable", 503),
        (errors.OutcomeUnknown(), "ServiceUnavailable", 503),
        (errors.CorruptEverywhere(), "InternalError", 500),
        (errors.RangeNotSatisfiable(size_bytes=5), "InvalidRange", 416),
        (errors.KeyTooLong(size_bytes=2000, max_bytes=1024), "KeyTooLongError", 400),
        (RuntimeError("a path: /var/lib"), "InternalError", 500),
        (InvalidArgument("no", name="n", value="v"), "InvalidArgument", 400),
    ],
)
def test_errors_are_said_as_s3_says_them(error: Exception, code: str, status: int) -> None:
    fault = refusal_of(error).fault

    assert (fault.code, fault.status) == (code, status)


def test_an_error_nobody_knew_of_goes_by_its_nearest_base() -> None:
    class Sluggish(errors.BackendTimeout):
        pass

    class Novel(EngineError):
        pass

    assert fault_of(Sluggish("m", backend="b")).code == "SlowDown"
    assert fault_of(Novel()) is INTERNAL


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret"),
        errors.BackendUnavailable("connect to secret", backend="secret"),
        errors.KeyUnavailable(key_id="secret"),
        errors.PlacementRefused(storage_keys=("secret",)),
        errors.StartRefused("secret"),
    ],
)
def test_what_happens_inside_stays_inside(error: Exception) -> None:
    refusal = refusal_of(error)

    assert "secret" not in refusal.message + "".join(refusal.extra.values())


def test_what_may_pass_says_when_to_come_again() -> None:
    assert refusal_of(errors.Overloaded(what="x")).headers["Retry-After"] == "1"
    assert "Retry-After" not in refusal_of(errors.NoSuchBucket(bucket="b")).headers


def test_a_range_outside_says_how_much_there_is() -> None:
    refusal = refusal_of(errors.RangeNotSatisfiable(size_bytes=5))

    assert refusal.headers == {"Content-Range": "bytes */5"}
    assert refusal.extra == {"ActualObjectSize": "5"}


def test_a_method_that_is_not_allowed_says_which_are() -> None:
    assert refusal_of(MethodNotAllowed("PATCH", allowed=["GET", "PUT"])).headers == {"Allow": "GET, PUT"}


@pytest.mark.parametrize("awkward", ["<&>\"'", "a\x00\x01\x1fb", "\r\n", "\ufffe\uffff", "\ud800", "key 😀"])
def test_documents_parse_whatever_stands_in_them(awkward: str) -> None:
    refusal = Refusal(fault=S3Fault("NoSuchKey", INTERNAL.status), message=awkward, extra={"Key": awkward})

    document = error_document(refusal, resource=f"/b/{awkward}", request_id="R", host_id="H")

    root = ElementTree.fromstring(document)
    assert [child.tag for child in root] == ["Code", "Message", "Key", "Resource", "RequestId", "HostId"]
    assert root.findtext("RequestId") == "R"


def test_the_key_and_the_bucket_are_named() -> None:
    key = refusal_of(errors.NoSuchKey(bucket="b", key="schlüssel".encode())).extra
    bucket = refusal_of(errors.NoSuchBucket(bucket=BucketName("b"))).extra

    assert (key, bucket) == ({"Key": "schlüssel"}, {"BucketName": "b"})


def test_head_has_no_body_for_its_error() -> None:
    refusal = refusal_of(errors.NoSuchBucket(bucket="b"))

    assert error_document(refusal, resource="/b", request_id="R", host_id="H", with_body=False) == b""


def test_no_code_has_two_statuses_but_those_that_s3_gives_two() -> None:
    faults = [*FAULTS.values(), *(kind.fault for kind in subclasses(WireError) if hasattr(kind, "fault"))]
    statuses: dict[str, set[int]] = {}
    for fault in faults:
        statuses.setdefault(fault.code, set()).add(fault.status)

    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    "error",
    [
        errors.BackendsUnavailable("no backend serves it"),
        errors.NotEnoughDomains(wanted_count=2, domain_count=1),
        errors.BelowWriteQuorum(standing_count=1, quorum_count=2),
        errors.BackendUnavailable("gone", backend="near"),
        errors.ForeignBackend("gone", backend="near"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_who_meets_missing_backends_is_not_told_to_send_less(error: EngineError) -> None:
    refusal = refusal_of(error)

    assert refusal.fault.code == "SlowDown"
    assert "backends" in refusal.message
    assert "near" not in refusal.message


def test_who_sends_too_much_is_told_to_send_less() -> None:
    assert refusal_of(errors.Overloaded(what="x")).message == "Please reduce your request rate."
