"""What belongs to one account is out of reach of another's identities, and so is whether it is there at all."""

from dataclasses import replace
from typing import Any

import pytest

from dataplane.handlers.table import handler_table
from dataplane.wire.served_operations import SERVED
from engine.errors import NoSuchBucket
from engine.metadata import accounts
from engine.names import BucketName, ObjectKey, bucket_name
from engine.objects.buckets import Buckets
from engine.objects.read import Reader
from engine.objects.write import PutOrder
from engine.records import Bucket, ObjectHeaders, Origin, StoredVersion
from tests.integration.dataplane.in_process import InProcess, refused
from tests.support.bodies import BytesBody
from tests.support.objects import ObjectRig, key_of

BUCKET = "photos"


@pytest.fixture
def stranger(rig: ObjectRig, client: Any) -> Any:
    """A superuser of another account; in the first account's bucket there is one object and one upload."""
    client.put_object(Bucket=BUCKET, Key="k", Body=b"theirs")
    account_id = rig.store.write(lambda tx: accounts.ensure_account(tx, "other", Origin.CONFIG))
    return InProcess(rig, account_id=account_id).client()


def test_every_served_operation_has_a_handler(rig: ObjectRig) -> None:
    assert set(handler_table(rig.objects, region="us-east-1")) == {each.name for each in SERVED}


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("list_objects", {}),
        ("list_objects_v2", {}),
        ("list_multipart_uploads", {}),
        ("get_bucket_location", {}),
        ("delete_bucket", {}),
        ("get_object", {"Key": "k"}),
        ("get_object", {"Key": "missing"}),
        ("get_object", {"Key": "k", "PartNumber": 1}),
        ("head_object", {"Key": "missing", "PartNumber": 9}),
        ("get_object_attributes", {"Key": "k", "ObjectAttributes": ["ETag"]}),
        ("get_object_attributes", {"Key": "missing", "ObjectAttributes": ["ETag"]}),
        ("put_object", {"Key": "k", "Body": b"mine"}),
        ("delete_object", {"Key": "k"}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "k"}]}}),
        ("copy_object", {"Key": "c", "CopySource": f"{BUCKET}/k"}),
        ("create_multipart_upload", {"Key": "k"}),
        ("upload_part", {"Key": "k", "UploadId": "0" * 32, "PartNumber": 1, "Body": b""}),
        (
            "upload_part_copy",
            {"Key": "k", "UploadId": "0" * 32, "PartNumber": 1, "CopySource": f"{BUCKET}/k"},
        ),
        ("list_parts", {"Key": "k", "UploadId": "0" * 32}),
        ("abort_multipart_upload", {"Key": "k", "UploadId": "0" * 32}),
        (
            "complete_multipart_upload",
            {
                "Key": "k",
                "UploadId": "0" * 32,
                "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": "x"}]},
            },
        ),
    ],
)
def test_a_stranger_is_denied_everything(
    client: Any, stranger: Any, call: str, arguments: dict[str, Any]
) -> None:
    # A HEAD has no body that could name the code.
    code = "403" if call.startswith("head") else "AccessDenied"
    assert refused(getattr(stranger, call), Bucket=BUCKET, **arguments) == (code, 403)
    assert client.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"theirs"


@pytest.mark.parametrize("key", ["k", "missing"])
@pytest.mark.parametrize(
    "conditions", [{}, {"IfNoneMatch": "*"}, {"IfMatch": '"x"'}, {"Range": "bytes=900-"}]
)
def test_a_stranger_cannot_tell_what_is_there(stranger: Any, key: str, conditions: dict[str, str]) -> None:
    assert refused(stranger.head_object, Bucket=BUCKET, Key=key, **conditions) == ("403", 403)
    assert refused(stranger.get_object, Bucket=BUCKET, Key=key, **conditions) == ("AccessDenied", 403)


def test_a_stranger_cannot_copy_out_of_a_bucket(stranger: Any) -> None:
    stranger.create_bucket(Bucket="strange")

    copy = {"Bucket": "strange", "Key": "c"}
    assert refused(stranger.copy_object, **copy, CopySource=f"{BUCKET}/k") == ("AccessDenied", 403)
    assert refused(stranger.copy_object, **copy, CopySource=f"{BUCKET}/missing") == ("AccessDenied", 403)
    upload_id = stranger.create_multipart_upload(**copy)["UploadId"]
    part = {**copy, "UploadId": upload_id, "PartNumber": 1}
    for source in ("k", "missing"):
        copied = refused(stranger.upload_part_copy, **part, CopySource=f"{BUCKET}/{source}")
        assert copied == ("AccessDenied", 403)
    assert "Parts" not in stranger.list_parts(**copy, UploadId=upload_id)


def test_a_stranger_sees_its_own_buckets_only(stranger: Any) -> None:
    stranger.create_bucket(Bucket="strange")

    assert [each["Name"] for each in stranger.list_buckets()["Buckets"]] == ["strange"]
    assert refused(stranger.create_bucket, Bucket=BUCKET) == ("BucketAlreadyExists", 409)
    assert refused(stranger.head_bucket, Bucket=BUCKET) == ("403", 403)


def test_a_bucket_that_changes_hands_during_an_upload_takes_nothing_from_its_former_owner(
    rig: ObjectRig,
) -> None:
    buckets, name = rig.objects.buckets, bucket_name("wandering")
    buckets.create(name, rig.account_id)
    account_id = rig.store.write(lambda tx: accounts.ensure_account(tx, "other", Origin.CONFIG))

    class Overtaken(BytesBody):
        def readinto(self, buffer: memoryview, /) -> int:
            if self.read_count == 0:
                buckets.delete(name)
                buckets.create(name, account_id)
            return super().readinto(buffer)

    with pytest.raises(NoSuchBucket):
        rig.put("k", Overtaken(b"not for them"), bucket=name)

    assert rig.keys(bucket=name) == []


def change_hands(rig: ObjectRig, name: BucketName) -> None:
    """The bucket is emptied, and comes back as another account's with an object `k` of its own."""
    account_id = rig.store.write(lambda tx: accounts.ensure_account(tx, "other", Origin.CONFIG))
    for key in rig.keys(bucket=name):
        rig.delete(key, bucket=name)
    rig.reap()
    rig.objects.buckets.delete(name)
    rig.objects.buckets.create(name, account_id)
    order = PutOrder(bucket=name, key=key_of("k"), account_id=account_id, headers=ObjectHeaders())
    rig.objects.writer.put(order, BytesBody(b"theirs"))


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("delete_object", {"Key": "k"}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "k"}]}}),
        ("delete_bucket", {}),
    ],
)
def test_a_bucket_that_changes_hands_behind_the_question_whose_it_is_loses_nothing(
    rig: ObjectRig, call: str, arguments: dict[str, Any]
) -> None:
    name = bucket_name("wandering")

    class Wandering(Buckets):
        def get(self, name: BucketName) -> Bucket:
            found = super().get(name)
            change_hands(rig, name)
            return found

    rig.objects.buckets.create(name, rig.account_id)
    rig.objects = replace(rig.objects, buckets=Wandering(rig.store))

    assert refused(getattr(InProcess(rig).client(), call), Bucket=name, **arguments) == ("NoSuchBucket", 404)

    assert rig.get("k", bucket=name) == b"theirs"


def test_a_copy_that_reads_its_source_again_asks_again_whose_it_is(rig: ObjectRig, client: Any) -> None:
    name = bucket_name("wandering")

    class Overtaken(Reader):
        def __init__(self, inner: Reader) -> None:
            self.__dict__.update(inner.__dict__)

        def find(self, bucket: BucketName, key: ObjectKey, version_id: str | None = None) -> StoredVersion:
            found = super().find(bucket, key, version_id)
            change_hands(rig, bucket)
            return found

    rig.objects.buckets.create(name, rig.account_id)
    rig.put("k", b"mine", bucket=name)
    rig.objects = replace(rig.objects, reader=Overtaken(rig.objects.reader))
    overtaken = InProcess(rig).client()

    copy = {"Bucket": BUCKET, "Key": "copy", "CopySource": f"{name}/k"}
    assert refused(overtaken.copy_object, **copy) == ("AccessDenied", 403)

    assert rig.keys() == []
