"""Documents of buckets as boto3 puts and reads them: they come back the same, and what was read may be put again."""

from typing import Any

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
