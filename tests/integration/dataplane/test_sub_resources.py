"""Tags, cross-origin rules and sub-resources that nobody set, as boto3 sees them."""

from typing import Any

import pytest

from dataplane.auth.identity import Role
from tests.integration.dataplane.in_process import InProcess, refused
from tests.support.objects import BUCKET, ObjectRig

RULES = {
    "CORSRules": [
        {
            "ID": "app",
            "AllowedOrigins": ["https://app.test", "https://*.app.test"],
            "AllowedMethods": ["GET", "PUT"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
            "MaxAgeSeconds": 60,
        },
        {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},
    ]
}


def tag_set(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def tags_of(client: Any, key: str = "k", **named: str) -> dict[str, str]:
    found = client.get_object_tagging(Bucket=BUCKET, Key=key, **named)["TagSet"]
    return {each["Key"]: each["Value"] for each in found}


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("get_bucket_policy", "NoSuchBucketPolicy"),
        ("get_bucket_cors", "NoSuchCORSConfiguration"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_tagging", "NoSuchTagSet"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
        ("get_bucket_ownership_controls", "OwnershipControlsNotFoundError"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
    ],
)
def test_s3_35_what_nobody_set_is_not_there(client: Any, call: str, code: str) -> None:
    assert refused(getattr(client, call), Bucket=BUCKET) == (code, 404)
    assert refused(getattr(client, call), Bucket="nowhere") == ("NoSuchBucket", 404)


def test_s3_35_what_every_bucket_has(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")

    for acl in (client.get_bucket_acl(Bucket=BUCKET), client.get_object_acl(Bucket=BUCKET, Key="k")):
        assert acl["Owner"]["ID"] == "main"
        assert [(each["Grantee"]["ID"], each["Permission"]) for each in acl["Grants"]] == [
            ("main", "FULL_CONTROL")
        ]
    assert client.get_bucket_request_payment(Bucket=BUCKET)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in client.get_bucket_logging(Bucket=BUCKET)
    assert "Status" not in client.get_bucket_accelerate_configuration(Bucket=BUCKET)
    notification = client.get_bucket_notification_configuration(Bucket=BUCKET)
    assert set(notification) == {"ResponseMetadata"}
    assert refused(client.get_object_acl, Bucket=BUCKET, Key="none") == ("NoSuchKey", 404)


def test_what_holds_already_may_be_said_again_and_nothing_else(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    same = client.get_bucket_acl(Bucket=BUCKET)
    policy = {"Owner": same["Owner"], "Grants": same["Grants"]}

    client.put_bucket_acl(Bucket=BUCKET, ACL="private")
    client.put_object_acl(Bucket=BUCKET, Key="k", ACL="bucket-owner-full-control")
    client.put_bucket_acl(Bucket=BUCKET, AccessControlPolicy=policy)
    client.put_bucket_request_payment(Bucket=BUCKET, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    client.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus={})
    client.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    client.put_bucket_accelerate_configuration(Bucket=BUCKET, AccelerateConfiguration={"Status": "Suspended"})
    for call in ("lifecycle", "policy", "replication", "website", "cors", "tagging"):
        getattr(client, f"delete_bucket_{call}")(Bucket=BUCKET)

    everybody = {
        "Owner": same["Owner"],
        "Grants": [
            {
                "Grantee": {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"},
                "Permission": "READ",
            }
        ],
    }
    no_acls = ("AccessControlListNotSupported", 400)
    assert refused(client.put_bucket_acl, Bucket=BUCKET, ACL="public-read") == no_acls
    assert refused(client.put_bucket_acl, Bucket=BUCKET, AccessControlPolicy=everybody) == no_acls
    requester = {"RequestPaymentConfiguration": {"Payer": "Requester"}}
    assert refused(client.put_bucket_request_payment, Bucket=BUCKET, **requester) == ("NotImplemented", 501)
    enabled = {"AccelerateConfiguration": {"Status": "Enabled"}}
    put = client.put_bucket_accelerate_configuration
    assert refused(put, Bucket=BUCKET, **enabled) == ("NotImplemented", 501)


def test_tags_come_with_an_object_and_are_counted(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x", Tagging="colour=dark+blue&size=%C3%A9")
    client.put_object(Bucket=BUCKET, Key="plain", Body=b"x")

    assert tags_of(client) == {"colour": "dark blue", "size": "é"}
    assert tags_of(client, "plain") == {}
    assert client.head_object(Bucket=BUCKET, Key="k")["TagCount"] == 2
    assert client.get_object(Bucket=BUCKET, Key="k")["TagCount"] == 2
    assert "TagCount" not in client.get_object(Bucket=BUCKET, Key="plain")


def test_tags_are_replaced_and_deleted_and_the_object_stays_as_it_was(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x", Metadata={"a": "1"})
    before = client.head_object(Bucket=BUCKET, Key="k")

    client.put_object_tagging(Bucket=BUCKET, Key="k", Tagging=tag_set(b="2", a="1"))
    assert tags_of(client) == {"b": "2", "a": "1"}
    client.put_object_tagging(Bucket=BUCKET, Key="k", Tagging=tag_set(c="3"))
    assert tags_of(client) == {"c": "3"}
    client.delete_object_tagging(Bucket=BUCKET, Key="k")
    assert tags_of(client) == {}

    after = client.head_object(Bucket=BUCKET, Key="k")
    assert (after["ETag"], after["LastModified"], after["Metadata"]) == (
        before["ETag"],
        before["LastModified"],
        before["Metadata"],
    )
    for call in (client.get_object_tagging, client.delete_object_tagging):
        assert refused(call, Bucket=BUCKET, Key="none") == ("NoSuchKey", 404)
    eleven = tag_set(**{f"k{number}": "v" for number in range(11)})
    assert refused(client.put_object_tagging, Bucket=BUCKET, Key="k", Tagging=eleven) == ("BadRequest", 400)


def test_tags_belong_to_a_version(client: Any) -> None:
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=BUCKET, Key="k", Body=b"1", Tagging="v=1")["VersionId"]
    second = client.put_object(Bucket=BUCKET, Key="k", Body=b"2")["VersionId"]

    changed = client.put_object_tagging(Bucket=BUCKET, Key="k", VersionId=first, Tagging=tag_set(v="one"))
    client.put_object_tagging(Bucket=BUCKET, Key="k", Tagging=tag_set(v="two"))

    assert changed["VersionId"] == first
    assert tags_of(client, VersionId=first) == {"v": "one"}
    assert tags_of(client, VersionId=second) == tags_of(client) == {"v": "two"}
    marker = client.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    tag = client.put_object_tagging
    assert refused(tag, Bucket=BUCKET, Key="k", Tagging=tag_set(a="b")) == ("NoSuchKey", 404)
    of_marker = {"Bucket": BUCKET, "Key": "k", "VersionId": marker}
    assert refused(tag, **of_marker, Tagging=tag_set(a="b")) == ("MethodNotAllowed", 405)
    assert refused(client.get_object_tagging, **of_marker) == ("MethodNotAllowed", 405)


def test_copies_take_tags_along_or_replace_them(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x", Tagging="a=1", Metadata={"m": "1"})
    source = f"{BUCKET}/k"

    client.copy_object(Bucket=BUCKET, Key="same", CopySource=source)
    client.copy_object(
        Bucket=BUCKET, Key="metadata", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "2"}
    )
    client.copy_object(
        Bucket=BUCKET, Key="tags", CopySource=source, TaggingDirective="REPLACE", Tagging="b=2"
    )
    client.copy_object(Bucket=BUCKET, Key="none", CopySource=source, TaggingDirective="REPLACE")

    assert tags_of(client, "same") == tags_of(client, "metadata") == {"a": "1"}
    assert client.head_object(Bucket=BUCKET, Key="metadata")["Metadata"] == {"n": "2"}
    assert tags_of(client, "tags") == {"b": "2"}
    assert client.head_object(Bucket=BUCKET, Key="tags")["Metadata"] == {"m": "1"}
    assert tags_of(client, "none") == {}
    client.copy_object(Bucket=BUCKET, Key="k", CopySource=source, TaggingDirective="REPLACE", Tagging="c=3")
    assert tags_of(client) == {"c": "3"}


def test_uploads_carry_tags(client: Any) -> None:
    upload = {"Bucket": BUCKET, "Key": "k"}
    upload["UploadId"] = client.create_multipart_upload(**upload, Tagging="a=1&b=2")["UploadId"]
    etag = client.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]
    client.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})

    assert tags_of(client) == {"a": "1", "b": "2"}


def test_tags_of_buckets(client: Any) -> None:
    client.put_bucket_tagging(Bucket=BUCKET, Tagging=tag_set(team="a", cost="é"))
    assert client.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == tag_set(team="a", cost="é")["TagSet"]
    client.put_bucket_tagging(Bucket=BUCKET, Tagging=tag_set(team="b"))
    assert client.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == tag_set(team="b")["TagSet"]

    client.delete_bucket_tagging(Bucket=BUCKET)

    assert refused(client.get_bucket_tagging, Bucket=BUCKET) == ("NoSuchTagSet", 404)


def test_cross_origin_rules_come_back_as_they_were_set_and_go_with_their_bucket(client: Any) -> None:
    client.create_bucket(Bucket="fresh")
    client.put_bucket_cors(Bucket="fresh", CORSConfiguration=RULES)
    assert client.get_bucket_cors(Bucket="fresh")["CORSRules"] == RULES["CORSRules"]

    client.delete_bucket(Bucket="fresh")
    client.create_bucket(Bucket="fresh")

    assert refused(client.get_bucket_cors, Bucket="fresh") == ("NoSuchCORSConfiguration", 404)


def test_a_refused_document_leaves_the_one_before(client: Any) -> None:
    client.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=RULES)
    bad = {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["FOO"]}]}

    assert refused(client.put_bucket_cors, Bucket=BUCKET, CORSConfiguration=bad) == ("InvalidRequest", 400)

    assert client.get_bucket_cors(Bucket=BUCKET)["CORSRules"] == RULES["CORSRules"]


def test_a_reader_sets_nothing_and_a_writer_only_tags_of_objects(rig: ObjectRig, client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    reader, writer = InProcess(rig, Role.READER).client(), InProcess(rig, Role.WRITER).client()
    denied = ("AccessDenied", 403)

    for each in (reader, writer):
        assert refused(each.put_bucket_cors, Bucket=BUCKET, CORSConfiguration=RULES) == denied
        assert refused(each.put_bucket_tagging, Bucket=BUCKET, Tagging=tag_set(a="b")) == denied
        assert refused(each.delete_bucket_policy, Bucket=BUCKET) == denied
    assert refused(reader.put_object_tagging, Bucket=BUCKET, Key="k", Tagging=tag_set(a="b")) == denied
    writer.put_object_tagging(Bucket=BUCKET, Key="k", Tagging=tag_set(a="b"))
    assert tags_of(reader) == {"a": "b"}
