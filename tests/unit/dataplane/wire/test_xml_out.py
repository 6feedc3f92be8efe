"""What we write, botocore reads: keys of every kind, pages and their markers, results of uploads."""

from typing import Any
from xml.etree import ElementTree

import botocore.session
import pytest
from botocore.handlers import decode_list_object, decode_list_object_v2
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from dataplane.wire import xml_out
from dataplane.wire.parameters import (
    read_list_parts,
    read_list_uploads,
    read_list_v1,
    read_list_v2,
    read_token,
)
from dataplane.wire.target import parse_target
from dataplane.wire.xml_out import Deleted, DeleteFailure
from dataplane.wire.xml_text import escape, key_text
from engine.names import AccountName, BucketName, ObjectKey
from engine.records import (
    Bucket,
    Copies,
    ListedVersion,
    ListingPage,
    ObjectHeaders,
    Origin,
    Part,
    Upload,
    UploadsPage,
    Versioning,
)
from engine.streams import Checksum, ChecksumAlgorithm, ChecksumType

AT_US = 1_700_000_000_123_456
CRC = Checksum(algorithm=ChecksumAlgorithm.CRC32, digest=b"\0\0\0\1")
SERVICE = botocore.session.get_session().get_service_model("s3")


def parsed(operation: str, document: bytes) -> dict[str, Any]:
    """What a botocore client makes of the document."""
    response = {"status_code": 200, "headers": {}, "body": document, "context": {"operation_name": operation}}
    shape = SERVICE.operation_model(operation).output_shape
    result: dict[str, Any] = create_parser("rest-xml").parse(response, shape)
    context = {"encoding_type_auto_set": True}
    if operation == "ListObjects":
        decode_list_object(result, context)
    if operation == "ListObjectsV2":
        decode_list_object_v2(result, context)
    return result


def listed(key: bytes, *, algorithms: tuple[str, ...] = ()) -> ListedVersion:
    return ListedVersion(
        key=ObjectKey(key),
        size_bytes=5,
        etag="e" * 32,
        storage_class="STANDARD",
        created_at_us=AT_US,
        checksum_algorithms=algorithms,
    )


def page(*keys: bytes, prefixes: tuple[bytes, ...] = (), next_after: bytes | None = None) -> ListingPage:
    return ListingPage(
        versions=[listed(key) for key in keys], common_prefixes=prefixes, next_after=next_after
    )


def query(text: str) -> Any:
    return parse_target(f"/bucket?{text}".encode())


def bucket(name: str) -> Bucket:
    return Bucket(
        bucket_id=1,
        name=BucketName(name),
        account_id=1,
        account=AccountName("main"),
        created_at_us=AT_US,
        versioning=Versioning.OFF,
        object_lock=False,
        scheme=None,
        seal=None,
        quota_bytes=None,
        revision=1,
        origin=Origin.API,
    )


def upload(key: bytes = b"k") -> Upload:
    return Upload(
        upload_id=bytes(16),
        bucket_id=1,
        key=ObjectKey(key),
        account_id=1,
        account="main",
        headers=ObjectHeaders(),
        checksum_algorithm=ChecksumAlgorithm.CRC32,
        checksum_type=ChecksumType.COMPOSITE,
        scheme=Copies(count=1),
        is_sealed=False,
        created_at_us=AT_US,
    )


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=50))
def test_b6_every_key_survives_an_encoded_listing(key: str) -> None:
    document = xml_out.list_objects_v2(
        page(key.encode(), prefixes=(key.encode(),), next_after=key.encode()),
        read_list_v2(query("list-type=2&encoding-type=url&delimiter=%2F")),
        bucket="bucket",
        owner="main",
    )

    result = parsed("ListObjectsV2", document)

    assert result["Contents"][0]["Key"] == key
    assert result["CommonPrefixes"] == [{"Prefix": key}]
    assert read_token(result["NextContinuationToken"]) == key.encode()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_b6_every_plain_listing_parses(key: str) -> None:
    document = xml_out.list_objects_v1(
        page(key.encode()), read_list_v1(query("")), bucket="bucket", owner="main"
    )

    assert len(ElementTree.fromstring(document).findall("{*}Contents")) == 1


@pytest.mark.parametrize(
    "key", ["a\nb", "a\r\nb", "a\tb", "<a>&\"'", " lead", "trail ", "é😀", "]]>", "\x85\u2028"]
)
def test_keys_that_xml_can_hold_survive_a_plain_listing(key: str) -> None:
    document = xml_out.list_objects_v1(
        page(key.encode()), read_list_v1(query("")), bucket="bucket", owner="main"
    )

    assert ElementTree.fromstring(document).findtext("{*}Contents/{*}Key") == key


def test_b6_a_key_that_xml_cannot_hold_spoils_only_itself() -> None:
    document = xml_out.list_objects_v1(
        page(b"a\x01b", b"good"), read_list_v1(query("")), bucket="bucket", owner="main"
    )

    keys = [each.text for each in ElementTree.fromstring(document).iterfind("{*}Contents/{*}Key")]
    assert keys == ["a\ufffdb", "good"]


def test_an_encoded_space_means_the_same_to_every_reader() -> None:
    assert key_text(b"a b+c/d~", is_url_encoded=True) == "a%20b%2Bc/d~"


def test_version_one_of_the_listing() -> None:
    document = xml_out.list_objects_v1(
        page(b"a", b"b", prefixes=(b"c/",), next_after=b"c/"),
        read_list_v1(query("prefix=&delimiter=%2F&marker=0&max-keys=3&encoding-type=url")),
        bucket="bucket",
        owner="main",
    )

    result = parsed("ListObjects", document)

    assert (result["Name"], result["Prefix"], result["Marker"]) == ("bucket", "", "0")
    assert (result["NextMarker"], result["MaxKeys"], result["IsTruncated"]) == ("c/", 3, True)
    assert (result["Delimiter"], result["EncodingType"]) == ("/", "url")
    content = result["Contents"][0]
    assert (content["Key"], content["ETag"], content["Size"]) == ("a", f'"{"e" * 32}"', 5)
    assert content["LastModified"].isoformat() == "2023-11-14T22:13:20.123000+00:00"
    assert content["Owner"]["ID"] == "main"
    assert content["StorageClass"] == "STANDARD"


def test_the_next_marker_is_only_given_with_a_delimiter() -> None:
    document = xml_out.list_objects_v1(
        page(b"a", next_after=b"a"), read_list_v1(query("max-keys=1")), bucket="bucket", owner="main"
    )

    assert "NextMarker" not in parsed("ListObjects", document)


def test_version_two_of_the_listing() -> None:
    asked = read_list_v2(query("list-type=2&prefix=p&start-after=p1&max-keys=2"))
    versions = [listed(b"p2", algorithms=("CRC32",)), listed(b"p3")]

    document = xml_out.list_objects_v2(
        ListingPage(versions=versions, common_prefixes=(), next_after=None),
        asked,
        bucket="bucket",
        owner="main",
    )

    result = parsed("ListObjectsV2", document)
    assert (result["KeyCount"], result["MaxKeys"], result["IsTruncated"]) == (2, 2, False)
    assert (result["Prefix"], result["StartAfter"]) == ("p", "p1")
    assert "NextContinuationToken" not in result
    assert result["Contents"][0]["ChecksumAlgorithm"] == ["CRC32"]
    assert "Owner" not in result["Contents"][0]


def test_owners_are_shown_when_asked_for() -> None:
    asked = read_list_v2(query("list-type=2&fetch-owner=true"))

    result = parsed("ListObjectsV2", xml_out.list_objects_v2(page(b"a"), asked, bucket="bucket", owner="<&>"))

    assert result["Contents"][0]["Owner"]["ID"] == "<&>"


def test_buckets() -> None:
    result = parsed("ListBuckets", xml_out.list_buckets([bucket("one"), bucket("two")], owner="main"))

    assert [each["Name"] for each in result["Buckets"]] == ["one", "two"]
    assert result["Owner"]["ID"] == "main"


def test_the_first_region_has_no_name() -> None:
    assert ElementTree.fromstring(xml_out.bucket_location("us-east-1")).text is None
    assert ElementTree.fromstring(xml_out.bucket_location("eu-test-1")).text == "eu-test-1"


def test_results_of_uploads() -> None:
    begun = parsed(
        "CreateMultipartUpload", xml_out.initiate_upload(bucket="b", key=b"<k>", upload_id=bytes(16))
    )
    done = parsed(
        "CompleteMultipartUpload",
        xml_out.complete_upload(
            location="http://h/b/k?&", bucket="b", key=b"<k>", etag="e-2", checksums=[CRC]
        ),
    )
    copied = parsed("CopyObject", xml_out.copy_result(etag="e", modified_at_us=AT_US, checksums=[CRC]))

    assert (begun["Bucket"], begun["Key"], begun["UploadId"]) == ("b", "<k>", "0" * 32)
    assert (done["Location"], done["Key"], done["ETag"]) == ("http://h/b/k?&", "<k>", '"e-2"')
    assert (done["ChecksumCRC32"], done["ChecksumType"]) == ("AAAAAQ==", "FULL_OBJECT")
    assert copied["CopyObjectResult"]["ETag"] == '"e"'
    assert copied["CopyObjectResult"]["ChecksumCRC32"] == "AAAAAQ=="


def test_parts() -> None:
    part = Part(part_seq=1, part_number=7, size_bytes=9, etag="e", checksums=[CRC], created_at_us=AT_US)
    asked = read_list_parts(
        parse_target(b"/bucket/k?uploadId=" + b"0" * 32 + b"&max-parts=1&part-number-marker=6")
    )

    result = parsed(
        "ListParts", xml_out.list_parts(upload(), [part], asked, bucket="bucket", is_truncated=True)
    )

    assert (result["PartNumberMarker"], result["NextPartNumberMarker"], result["MaxParts"]) == (6, 7, 1)
    assert result["IsTruncated"] is True
    assert result["Parts"][0]["PartNumber"] == 7
    assert result["Parts"][0]["ChecksumCRC32"] == "AAAAAQ=="
    assert (result["ChecksumAlgorithm"], result["ChecksumType"]) == ("CRC32", "COMPOSITE")
    assert result["Initiator"]["ID"] == result["Owner"]["ID"] == "main"


def test_open_uploads() -> None:
    found = UploadsPage(
        uploads=[upload(b"a b")], common_prefixes=(b"p/",), next_key=b"a b", next_upload_id=bytes(16)
    )
    asked = read_list_uploads(query("uploads&delimiter=%2F&max-uploads=1&encoding-type=url"))

    result = parsed("ListMultipartUploads", xml_out.list_uploads(found, asked, bucket="bucket"))

    assert (result["NextKeyMarker"], result["NextUploadIdMarker"]) == ("a%20b", "0" * 32)
    assert (result["IsTruncated"], result["MaxUploads"]) == (True, 1)
    assert result["Uploads"][0]["UploadId"] == "0" * 32
    assert result["CommonPrefixes"] == [{"Prefix": "p/"}]


def test_deletes_and_what_still_stands() -> None:
    failures = [DeleteFailure(key=b"k&", code="NoSuchVersion", message="<none>", version_id="v")]

    result = parsed("DeleteObjects", xml_out.delete_result([Deleted(key=b"gone")], failures))

    assert result["Deleted"] == [{"Key": "gone"}]
    assert result["Errors"] == [{"Key": "k&", "Code": "NoSuchVersion", "Message": "<none>", "VersionId": "v"}]


@given(st.text())
def test_escaped_text_always_stands_in_a_document(text: str) -> None:
    assert ElementTree.fromstring(f"<a>{escape(text)}</a>").tag == "a"
