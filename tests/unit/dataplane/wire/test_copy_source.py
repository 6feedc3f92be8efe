"""The source of a copy is one object, named once, and nothing that merely looks like one."""

import pytest

from dataplane.wire.copy_source import read_copy_source, replaces_metadata
from dataplane.wire.refusals import InvalidArgument, NotImplementedYet
from engine.errors import InvalidBucketName, KeyTooLong


@pytest.mark.parametrize(
    ("text", "bucket", "key", "version_id"),
    [
        ("bucket/key", "bucket", b"key", None),
        ("/bucket/key", "bucket", b"key", None),
        ("bucket/a/b%20c%2Fd+e", "bucket", b"a/b c/d+e", None),
        ("bucket/k?versionId=null", "bucket", b"k", "null"),
        (
            "bucket/k?versionId=0190163d8694739a823e1d2b6e1f8f0a",
            "bucket",
            b"k",
            "0190163d8694739a823e1d2b6e1f8f0a",
        ),
        ("bucket/what%3F", "bucket", b"what?", None),
        ("bucket//k", "bucket", b"/k", None),
        ("bucket%2Fa%2Fb%20c", "bucket", b"a/b c", None),
        ("%2Fbucket%2Fk?versionId=null", "bucket", b"k", "null"),
        ("bucket%2F%2Fk", "bucket", b"/k", None),
        ("bucket/../other/secret", "bucket", b"../other/secret", None),
        ("bucket/%2e%2e/other", "bucket", b"../other", None),
        ("bucket/" + "k" * 1024, "bucket", b"k" * 1024, None),
        ("bucket/gr\xc3\xb6", "bucket", "grö".encode(), None),
    ],
)
def test_sources(text: str, bucket: str, key: bytes, version_id: str | None) -> None:
    source = read_copy_source({"x-amz-copy-source": text})

    assert (source.bucket, source.key, source.version_id) == (bucket, key, version_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        " ",
        "   ",
        "%",
        "bucket",
        "/bucket",
        "bucket/",
        "/bucket/",
        "//",
        "/k",
        "//bucket/k",
        "bucket/%zz",
        "bucket/%ff",
        "bucket/%00",
        "bucket/k?x=y",
        "bucket/k?versionId=../x",
        "bucket/k?versionId=",
        "bucket/k?versionId=a&b=c",
        "%20/k",
        "\xff/k",
        "%ff/k",
    ],
)
def test_f8_what_names_no_object_is_an_invalid_argument(text: str) -> None:
    with pytest.raises(InvalidArgument):
        read_copy_source({"x-amz-copy-source": text})


def test_f8_names_are_checked_as_everywhere() -> None:
    with pytest.raises(InvalidBucketName):
        read_copy_source({"x-amz-copy-source": "UPPER/key"})
    with pytest.raises(KeyTooLong):
        read_copy_source({"x-amz-copy-source": "bucket/" + "k" * 1025})


def test_sources_by_arn_are_refused_by_name() -> None:
    with pytest.raises(NotImplementedYet):
        read_copy_source({"x-amz-copy-source": "arn:aws:s3:us-east-1:1:accesspoint/a/object/k"})


def test_the_directive_says_whose_metadata_counts() -> None:
    assert replaces_metadata({}) is False
    assert replaces_metadata({"x-amz-metadata-directive": "COPY"}) is False
    assert replaces_metadata({"x-amz-metadata-directive": "REPLACE"}) is True
    with pytest.raises(InvalidArgument):
        replaces_metadata({"x-amz-metadata-directive": "replace"})
