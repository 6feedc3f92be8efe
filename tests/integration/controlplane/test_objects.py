"""ObjectService: what is stored is told as folders, versions and heads; links act as their identity; prefixes go."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.admin.v1 import (
    bucket_service_pb2,
    identity_pb2,
    identity_service_pb2,
    object_service_pb2,
    operation_pb2,
    operation_service_pb2,
)

from engine.metadata.buckets import find_bucket, set_versioning
from engine.metadata.store import Store
from engine.names import bucket_name, object_key
from engine.objects.remove import RemoveOrder
from engine.objects.write import PutOrder
from engine.records import ObjectHeaders, Versioning
from tests.integration.controlplane.clients import Client
from tests.support.bodies import BytesBody
from tests.support.control import RunningPlane, bearer, failure, put_object, wait_until, write_config
from tests.support.metadata import make_upload, run_sql

pb = object_service_pb2

FIXED_PORT = "127.0.0.1:9000"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    """One whose S3 endpoint would have a port that is known before; nothing listens there."""
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace('s3: "127.0.0.1:0"', f's3: "{FIXED_PORT}"'))
    with RunningPlane(config) as plane:
        yield plane


def keep_versions(plane: RunningPlane, bucket: str = "photos") -> None:
    plane.opened.store.write(partial(set_versioning, name=bucket, versioning=Versioning.ENABLED))


def delete(plane: RunningPlane, key: str) -> None:
    plane.opened.use.remover.delete(bucket_name("photos"), RemoveOrder(key=object_key(key.encode())))


def ended(client: Client, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    found = operation

    def has_ended() -> bool:
        nonlocal found
        request = operation_service_pb2.GetOperationRequest(name=operation.name)
        found = client("operation", request).operation
        return bool(found.done)

    wait_until(has_ended, "the end of the operation")
    return found


def versions(client: Client, **fields: Any) -> list[tuple[str, bool, bool]]:
    found: list[tuple[str, bool, bool]] = []
    request = pb.ListObjectVersionsRequest(bucket="photos", **fields)
    while True:
        page = client("object", request)
        found += [(each.key, each.current, each.delete_marker) for each in page.versions]
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


# --- looking ---


def test_a_head_tells_all_that_a_version_carries(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "other", b"")
    bucket = plane.opened.store.read(partial(find_bucket, name="photos"))
    headers = ObjectHeaders(
        content_type="text/plain",
        system={"cache-control": "no-store"},
        user={"camera": "ü"},
        tags={"colour": "blue"},
    )
    order = PutOrder(
        bucket=bucket.name, key=object_key("a b/ü".encode()), account_id=bucket.account_id, headers=headers
    )
    plane.opened.use.writer.put(order, BytesBody(bytes(1000)))

    head = client("object", pb.HeadObjectRequest(bucket="photos", key="a b/ü"))
    by_id = client("object", pb.HeadObjectRequest(bucket="photos", key="a b/ü", version_id="null"))
    missing = failure(lambda: client("object", pb.HeadObjectRequest(bucket="photos", key="x")))

    assert head == by_id
    assert (head.version_id, head.size_bytes, len(head.etag)) == ("null", 1000, 32)
    assert (head.content_type, dict(head.headers)) == ("text/plain", {"cache-control": "no-store"})
    assert (dict(head.user_metadata), dict(head.tags)) == ({"camera": "ü"}, {"colour": "blue"})
    assert (head.storage_class, head.part_count, head.account) == ("STANDARD", 0, "")
    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_KEY")


def test_a_folder_shows_objects_and_what_its_folders_hold(plane: RunningPlane, client: Client) -> None:
    for key in ("a", "b/1", "b/2", "b/c/3", "d"):
        put_object(plane.opened, "photos", key, bytes(10))

    whole = client("object", pb.ListObjectTreeRequest(bucket="photos"))
    within = client("object", pb.ListObjectTreeRequest(bucket="photos", prefix="b/"))
    first = client("object", pb.ListObjectTreeRequest(bucket="photos", page_size=2))
    rest = client("object", pb.ListObjectTreeRequest(bucket="photos", page_token=first.next_page_token))

    def told(answer: Any) -> list[tuple[str, bool, int, int, bool]]:
        return [
            (each.key, each.prefix, each.object_count, each.size_bytes, each.partial)
            for each in answer.entries
        ]

    assert told(whole) == [
        ("a", False, 1, 10, False),
        ("b/", True, 3, 30, False),
        ("d", False, 1, 10, False),
    ]
    assert told(within) == [
        ("b/1", False, 1, 10, False),
        ("b/2", False, 1, 10, False),
        ("b/c/", True, 1, 10, False),
    ]
    assert told(first) + told(rest) == told(whole)


def test_versions_and_markers_are_listed_in_pages(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "a", b"1")
    keep_versions(plane)
    put_object(plane.opened, "photos", "a", b"22")
    put_object(plane.opened, "photos", "b", b"3")
    delete(plane, "b")

    expected = [("a", True, False), ("a", False, False), ("b", True, True), ("b", False, False)]
    assert versions(client) == expected
    assert versions(client, page_size=1) == expected
    assert versions(client, prefix="b") == expected[2:]


@pytest.mark.parametrize(
    ("request_of", "at_fault"),
    [
        (lambda: pb.ListObjectVersionsRequest(bucket="photos", page_token="eA=="), "page_token"),
        (lambda: pb.ListObjectTreeRequest(bucket="photos", prefix="x" * 1025), "prefix"),
        (lambda: pb.HeadObjectRequest(bucket="photos", key="k", version_id="a b"), "version_id"),
        (
            lambda: pb.DeletePrefixRequest(bucket="photos", prefix="a", confirm_prefix="b", expected_count=1),
            "confirm_prefix",
        ),
    ],
)
def test_a_malformed_request_is_refused_by_field(client: Client, request_of: Any, at_fault: str) -> None:
    refused = failure(lambda: client("object", request_of()))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_without_the_bucket_there_is_nothing(client: Client) -> None:
    for request in (
        pb.HeadObjectRequest(bucket="photos", key="k"),
        pb.ListObjectTreeRequest(bucket="photos"),
        pb.ListObjectVersionsRequest(bucket="photos"),
        pb.PreviewDeletePrefixRequest(bucket="photos"),
        pb.DeletePrefixRequest(bucket="photos", expected_count=1),
        pb.DeleteObjectRequest(bucket="photos", key="k"),
    ):
        refused = failure(lambda request=request: client("object", request))  # type: ignore[misc]
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_BUCKET")


# --- links ---


def make_identity(client: Client, name: str = "alice", **fields: Any) -> None:
    wanted = identity_pb2.Identity(
        name=f"identities/{name}", account="accounts/main", role=identity_pb2.IDENTITY_ROLE_READER
    )
    wanted.MergeFrom(identity_pb2.Identity(**fields))
    client("identity", identity_service_pb2.CreateIdentityRequest(identity=wanted))


def make_key(client: Client, name: str = "alice", **fields: Any) -> identity_pb2.AccessKey:
    made: identity_pb2.AccessKey = client(
        "identity", identity_service_pb2.CreateAccessKeyRequest(identity=f"identities/{name}", **fields)
    ).access_key
    return made


def presign(client: Client, **fields: Any) -> Any:
    request = pb.PresignObjectRequest(
        bucket="photos",
        key="k",
        method=pb.PRESIGN_METHOD_GET,
        expires=Duration(seconds=60),
        identity="identities/alice",
    )
    request.MergeFrom(pb.PresignObjectRequest(**fields))
    return client("object", request)


def test_a_link_is_signed_by_the_key_that_lasts_longest(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", b"x")
    make_identity(client)
    far_s = plane.opened.clock.now_us() // 1_000_000 + 30
    make_key(client, expire_time=Timestamp(seconds=far_s))

    short = presign(client)
    lasting = make_key(client)
    long = presign(client)
    elsewhere = presign(client, endpoint="https://s3.example.org")

    assert short.expire_time.seconds <= far_s
    assert long.access_key == lasting.name
    assert long.url.startswith(f"http://{FIXED_PORT}/photos/k?X-Amz-Algorithm=")
    assert elsewhere.url.startswith("https://s3.example.org/photos/k?")


def test_an_identity_that_may_not_signs_nothing(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", b"x")
    client(
        "identity",
        identity_service_pb2.CreateAccountRequest(account=identity_pb2.Account(name="accounts/other")),
    )
    make_identity(client, "keyless")
    make_identity(client, "stranger", account="accounts/other")
    make_identity(client, "held", buckets=["buckets/films"])
    make_identity(client)
    for name in ("stranger", "held", "alice"):
        make_key(client, name)

    for refused in (
        failure(lambda: presign(client, identity="identities/keyless")),
        failure(lambda: presign(client, identity="identities/stranger")),
        failure(lambda: presign(client, identity="identities/held")),
        failure(lambda: presign(client, method=pb.PRESIGN_METHOD_PUT)),
    ):
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IDENTITY_CANNOT")
    nobody = failure(lambda: presign(client, identity="identities/nobody"))
    assert nobody.code == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("fields", "at_fault"),
    [
        ({"expires": Duration(seconds=8 * 24 * 3600)}, "expires"),
        ({"endpoint": "s3.example.org"}, "endpoint"),
        ({"method": 77}, "method"),
        ({"method": pb.PRESIGN_METHOD_PUT, "version_id": "null"}, "version_id"),
    ],
)
def test_a_malformed_link_is_refused_by_field(
    plane: RunningPlane, client: Client, fields: dict[str, Any], at_fault: str
) -> None:
    put_object(plane.opened, "photos", "k", b"x")
    make_identity(client)
    make_key(client)

    refused = failure(lambda: presign(client, **fields))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_links_are_for_admins_and_in_no_log(
    plane: RunningPlane, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    put_object(plane.opened, "photos", "k", b"x")
    make_identity(client)
    make_key(client)

    signature = presign(client).url.rpartition("=")[2]
    with plane.channel() as channel:
        from penstock.admin.v1 import object_service_pb2_grpc

        stub = object_service_pb2_grpc.ObjectServiceStub(channel)
        denied = failure(
            lambda: stub.PresignObject(pb.PresignObjectRequest(), metadata=bearer("operator"), timeout=10)
        )

    assert denied.code == grpc.StatusCode.PERMISSION_DENIED
    assert signature not in "\n".join(str(record.__dict__) for record in caplog.records)


def test_a_node_that_listens_everywhere_wants_to_be_told_an_address(tmp_path: Path) -> None:
    with RunningPlane(write_config(tmp_path)) as plane, plane.channel(socket="admin") as channel:
        client = Client(channel)
        put_object(plane.opened, "photos", "k", b"x")
        make_identity(client)
        make_key(client)

        refused = failure(lambda: presign(client))

    assert list(refused.fields) == ["endpoint"]


# --- removing ---


def test_one_object_is_removed_or_covered(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "a", b"x")
    gone = client("object", pb.DeleteObjectRequest(bucket="photos", key="a"))
    again = client("object", pb.DeleteObjectRequest(bucket="photos", key="a"))
    keep_versions(plane)
    put_object(plane.opened, "photos", "a", b"x")
    covered = client("object", pb.DeleteObjectRequest(bucket="photos", key="a"))
    uncovered = client(
        "object", pb.DeleteObjectRequest(bucket="photos", key="a", version_id=covered.version_id)
    )

    assert (gone.version_id, gone.delete_marker, again.version_id) == ("null", False, "")
    assert covered.delete_marker
    assert (uncovered.version_id, uncovered.delete_marker) == (covered.version_id, True)
    assert versions(client) == [("a", True, False)]


def test_a_prefix_goes_in_the_number_that_was_seen(plane: RunningPlane, client: Client) -> None:
    for key in ("a", *(f"b/{number:03}" for number in range(250)), "c"):
        put_object(plane.opened, "photos", key, bytes(10))
    preview = client("object", pb.PreviewDeletePrefixRequest(bucket="photos", prefix="b/"))
    request = pb.DeletePrefixRequest(
        bucket="photos", prefix="b/", confirm_prefix="b/", expected_count=preview.count
    )

    request.expected_count += 1
    wrong = failure(lambda: client("object", request))
    request.expected_count -= 1
    done = ended(client, client("object", request).operation)

    assert (preview.count, preview.size_bytes, preview.partial, preview.covers) == (250, 2500, False, False)
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "COUNT_MISMATCH")
    assert done.state == operation_pb2.OPERATION_STATE_SUCCEEDED
    assert (done.progress.done_count, done.progress.total_count) == (250, 250)
    assert [key for key, _, _ in versions(client)] == ["a", "c"]


def test_where_versions_are_kept_a_prefix_is_covered_and_then_goes_whole(
    plane: RunningPlane, client: Client
) -> None:
    put_object(plane.opened, "photos", "b/1", b"x")
    keep_versions(plane)
    put_object(plane.opened, "photos", "b/1", b"x")
    put_object(plane.opened, "photos", "b/2", b"x")
    preview = client("object", pb.PreviewDeletePrefixRequest(bucket="photos", prefix="b"))
    request = pb.DeletePrefixRequest(bucket="photos", prefix="b", confirm_prefix="b", expected_count=2)

    ended(client, client("object", request).operation)
    covered = versions(client)
    request.all_versions, request.expected_count = True, 5
    ended(client, client("object", request).operation)

    assert (preview.count, preview.covers) == (2, True)
    assert [each for each in covered if each[1]] == [("b/1", True, True), ("b/2", True, True)]
    assert versions(client) == []


def test_a_bucket_is_deleted_with_all_that_is_in_it(plane: RunningPlane, client: Client) -> None:
    store: Store = plane.opened.store
    put_object(plane.opened, "photos", "a", b"x")
    keep_versions(plane)
    for _ in range(3):
        put_object(plane.opened, "photos", "a", b"x")
    bucket = store.read(partial(find_bucket, name="photos"))
    for _ in range(150):
        make_upload(store, bucket)
    request = bucket_service_pb2.DeleteBucketRequest(name="buckets/photos", force=True)

    unconfirmed = failure(lambda: client("bucket", request))
    request.confirm_name = request.name
    request.validate_only = True
    trial = client("bucket", request)
    request.validate_only = False
    done = ended(client, client("bucket", request).operation)

    assert list(unconfirmed.fields) == ["confirm_name"]
    assert not trial.HasField("operation")
    assert (done.state, done.progress.done_count) == (operation_pb2.OPERATION_STATE_SUCCEEDED, 4)
    missing = failure(lambda: client("object", pb.ListObjectVersionsRequest(bucket="photos")))
    assert missing.code == grpc.StatusCode.NOT_FOUND
    assert run_sql(store, "SELECT DISTINCT state FROM multipart_uploads") == [("aborted",)]
