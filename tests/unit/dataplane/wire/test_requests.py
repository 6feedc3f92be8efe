"""Documents of requests are read whole, or refused whole."""

import pytest

from dataplane.wire.refusals import (
    IllegalLocationConstraint,
    InvalidArgument,
    InvalidLocationConstraint,
    InvalidRequest,
    MalformedXml,
    NotImplementedYet,
)
from dataplane.wire.requests import DeleteRequest, read_complete, read_delete, read_location
from engine.errors import InvalidKey, KeyTooLong
from engine.records import ListedPart
from engine.streams import ChecksumAlgorithm


def delete(inner: str) -> DeleteRequest:
    return read_delete(f"<Delete>{inner}</Delete>".encode())


def complete(inner: str) -> tuple[ListedPart, ...]:
    return read_complete(f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode())


def locate(location: str, region: str = "eu-test-1") -> None:
    raw = f"<CreateBucketConfiguration><LocationConstraint>{location}</LocationConstraint></CreateBucketConfiguration>"
    read_location(raw.encode(), region=region)


def test_deletes_keep_keys_as_they_are() -> None:
    request = delete(
        "<Quiet>true</Quiet><Object><Key> a &amp; b </Key></Object>"
        "<Object><VersionId>null</VersionId><Key>ö&#13;&#10;</Key></Object>"
    )

    assert request.is_quiet
    assert [(each.key, each.version_id) for each in request.entries] == [
        (b" a & b ", None),
        ("ö\r\n".encode(), "null"),
    ]


def test_d9_one_to_a_thousand_keys() -> None:
    one = "<Object><Key>k</Key></Object>"

    assert len(delete(one * 1000).entries) == 1000
    for count in (0, 1001):
        with pytest.raises(MalformedXml):
            delete(one * count)


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param("<Object><key>k</key></Object>", id="D8 wrong case"),
        pytest.param("<Object><Key>k</Key><Key>l</Key></Object>", id="D8 twice"),
        pytest.param("<Object><Key>k</Key><Foo/></Object>", id="D8 unknown"),
        pytest.param("<Object><Key><b/></Key></Object>", id="D8 nested"),
        pytest.param("<Object/>", id="D8 nothing in it"),
        pytest.param("<Object><Key/></Object>", id="an empty key"),
        pytest.param("<Object><Key>k</Key></Object><Foo/>", id="D8 unknown beside"),
        pytest.param("<Object><Key>k</Key></Object><Quiet>maybe</Quiet>", id="D8 no boolean"),
        pytest.param(
            "<Object><Key>k</Key></Object><Quiet>true</Quiet><Quiet>false</Quiet>", id="D8 quiet twice"
        ),
    ],
)
def test_d8_deletes_that_are_not_exactly_right_are_malformed(inner: str) -> None:
    with pytest.raises(MalformedXml):
        delete(inner)


def test_d8_one_bad_entry_refuses_them_all() -> None:
    with pytest.raises(KeyTooLong):
        delete(f"<Object><Key>good</Key></Object><Object><Key>{'k' * 1025}</Key></Object>")
    with pytest.raises(InvalidArgument):
        delete("<Object><Key>good</Key></Object><Object><Key>k</Key><VersionId>../x</VersionId></Object>")


def test_parts_keep_the_clients_order() -> None:
    parts = complete(
        '<Part><PartNumber>2</PartNumber><ETag>"b"</ETag></Part>'
        "<Part><ETag>a</ETag><PartNumber> 1 </PartNumber><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"
    )

    assert [(part.part_number, part.etag) for part in parts] == [(2, "b"), (1, "a")]
    assert parts[1].checksum is not None
    assert parts[1].checksum.algorithm is ChecksumAlgorithm.CRC32


def test_f19_one_to_ten_thousand_parts() -> None:
    one = "<Part><PartNumber>1</PartNumber><ETag>a</ETag></Part>"

    assert len(complete(one * 10_000)) == 10_000
    for count in (0, 10_001):
        with pytest.raises(MalformedXml):
            complete(one * count)


@pytest.mark.parametrize(
    "inner",
    [
        "<Part><PartNumber>1</PartNumber></Part>",
        "<Part><ETag>a</ETag></Part>",
        "<Part><PartNumber>x</PartNumber><ETag>a</ETag></Part>",
        "<Part><PartNumber>-1</PartNumber><ETag>a</ETag></Part>",
        "<Part><PartNumber>1.0</PartNumber><ETag>a</ETag></Part>",
        "<Part><PartNumber>١</PartNumber><ETag>a</ETag></Part>",
        "<Part><PartNumber>1</PartNumber><PartNumber>2</PartNumber><ETag>a</ETag></Part>",
        "<Part><partNumber>1</partNumber><ETag>a</ETag></Part>",
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag><Size>1</Size></Part>",
        "<part><PartNumber>1</PartNumber><ETag>a</ETag></part>",
        "<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32>"
        "<ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part>",
    ],
)
def test_d8_parts_that_are_not_exactly_right_are_malformed(inner: str) -> None:
    with pytest.raises(MalformedXml):
        complete(inner)


@pytest.mark.parametrize("number", ["0", "10001", "9999999999"])
def test_f18_a_number_no_part_has_is_refused(number: str) -> None:
    with pytest.raises(InvalidArgument):
        complete(f"<Part><PartNumber>{number}</PartNumber><ETag>a</ETag></Part>")


def test_a_checksum_of_a_part_is_of_its_kind() -> None:
    with pytest.raises(InvalidRequest):
        complete("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumSHA1>AAAA</ChecksumSHA1></Part>")
    with pytest.raises(NotImplementedYet):
        complete("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumSHA512>AAAA</ChecksumSHA512></Part>")


def test_d16_the_endpoints_own_region_is_fine() -> None:
    read_location(b"", region="eu-test-1")
    locate("eu-test-1")
    locate("")
    locate("us-east-1", region="us-east-1")


def test_d16_another_region_is_illegal_and_garbage_is_invalid() -> None:
    for region in ("us-west-2", "EU", "us-gov-west-1"):
        with pytest.raises(IllegalLocationConstraint):
            locate(region)
    for garbage in ("nowhere", "us_west", "x" * 300, "&lt;x&gt;"):
        with pytest.raises(InvalidLocationConstraint):
            locate(garbage)


def test_buckets_of_other_kinds_are_refused_by_name() -> None:
    raw = b"<CreateBucketConfiguration><Location><Type>AvailabilityZone</Type></Location></CreateBucketConfiguration>"

    with pytest.raises(NotImplementedYet, match="Location"):
        read_location(raw, region="us-east-1")


def test_a_key_without_a_place_in_xml_cannot_be_written_in_it() -> None:
    with pytest.raises((MalformedXml, InvalidKey)):
        delete("<Object><Key>a&#0;b</Key></Object>")
