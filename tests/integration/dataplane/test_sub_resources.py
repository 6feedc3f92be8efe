"""What boto3 reads of sub-resources: documents that were put, and what is said of those that never were."""

from typing import Any

import pytest

from tests.integration.dataplane.in_process import refused
from tests.support.objects import BUCKET

RULE = {
    "ID": "all of it",
    "AllowedHeaders": ["*"],
    "AllowedMethods": ["GET", "PUT"],
    "AllowedOrigins": ["https://*.example.com", "http://localhost:3000"],
    "ExposeHeaders": ["ETag"],
    "MaxAgeSeconds": 300,
}
BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
OWNERSHIP = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_documents_come_back_as_they_were_put(client: Any) -> None:
    tags = [{"Key": "team", "Value": "ü = a+b"}, {"Key": "a", "Value": ""}]
    client.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})
    client.put_bucket_cors(Bucket=BUCKET, CORSConfiguration={"CORSRules": [RULE]})
    client.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=BLOCK)
    client.put_bucket_ownership_controls(Bucket=BUCKET, OwnershipControls=OWNERSHIP)

    assert client.get_bucket_cors(Bucket=BUCKET)["CORSRules"] == [RULE]
    assert client.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"] == BLOCK
    assert client.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"] == OWNERSHIP
    client.delete_bucket_cors(Bucket=BUCKET)
    assert refused(client.get_bucket_cors, Bucket=BUCKET) == ("NoSuchCORSConfiguration", 404)
    assert client.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == [
        {"Key": "team", "Value": "ü = a+b"},
        {"Key": "a", "Value": ""},
    ]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_policy", "NoSuchBucketPolicy"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
    ],
)
def test_s3_35_what_was_never_set_has_its_own_code(client: Any, call: str, code: str) -> None:
    assert refused(getattr(client, call), Bucket=BUCKET) == (code, 404)


def test_s3_35_defaults_are_read(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="k", Body=b"x")

    for acl in (client.get_bucket_acl(Bucket=BUCKET), client.get_object_acl(Bucket=BUCKET, Key="k")):
        assert acl["Owner"]["ID"] == "main"
        (grant,) = acl["Grants"]
        assert (grant["Permission"], grant["Grantee"]["Type"]) == ("FULL_CONTROL", "CanonicalUser")
        assert grant["Grantee"]["ID"] == "main"
    assert client.get_bucket_request_payment(Bucket=BUCKET)["Payer"] == "BucketOwner"
    assert client.get_bucket_policy_status(Bucket=BUCKET)["PolicyStatus"] == {"IsPublic": False}
    assert "LoggingEnabled" not in client.get_bucket_logging(Bucket=BUCKET)
    assert "Status" not in client.get_bucket_accelerate_configuration(Bucket=BUCKET)
    told = client.get_bucket_notification_configuration(Bucket=BUCKET)
    assert told.keys() == {"ResponseMetadata"}


def test_what_a_client_read_it_may_write_again(client: Any) -> None:
    acl = client.get_bucket_acl(Bucket=BUCKET)
    owner, grants = acl["Owner"], acl["Grants"]

    client.put_bucket_acl(Bucket=BUCKET, AccessControlPolicy={"Owner": owner, "Grants": grants})
    client.put_bucket_acl(Bucket=BUCKET, ACL="private")
    client.put_bucket_request_payment(Bucket=BUCKET, RequestPaymentConfiguration={"Payer": "BucketOwner"})
    client.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={})
    client.put_bucket_logging(Bucket=BUCKET, BucketLoggingStatus={})

    somebody = {**grants[0], "Grantee": {"Type": "CanonicalUser", "ID": "somebody"}}
    policy = {"Owner": owner, "Grants": [*grants, somebody]}
    assert refused(client.put_bucket_acl, Bucket=BUCKET, AccessControlPolicy=policy) == (
        "AccessControlListNotSupported",
        400,
    )
