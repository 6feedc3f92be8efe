"""A listing's document is understood whole, or refused."""

import pytest

from engine.backends.base import ListedObject, ListedPage
from engine.backends.s3.connection import BadAnswer
from engine.backends.s3.listing import Entry, page_of, read_listing

XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def read_page(document: bytes, key_prefix: str) -> ListedPage:
    return page_of(read_listing(document), key_prefix)


def document(*contents: str, more: str = "", xmlns: str = XMLNS) -> bytes:
    inner = "".join(f"<Contents>{each}</Contents>" for each in contents)
    return f"<ListBucketResult {xmlns}>{more}{inner}</ListBucketResult>".encode()


def entry(key: str, *, size: str = "5", at: str = "2026-01-02T03:04:05.678Z") -> str:
    owner = "<Owner><ID>1</ID><DisplayName>x</DisplayName></Owner>"
    return f"<Key>{key}</Key><LastModified>{at}</LastModified><ETag>&quot;e&quot;</ETag><Size>{size}</Size>{owner}"


@pytest.mark.parametrize("xmlns", [XMLNS, ""])
def test_keys_are_told_below_the_prefix(xmlns: str) -> None:
    page = read_page(document(entry("main/a"), entry("mainly/b"), xmlns=xmlns), "main/")

    assert page.objects == (ListedObject(key="a", size_bytes=5, changed_at_us=1_767_323_045_678_000),)
    assert page.next_token is None


def test_keys_are_decoded_where_the_store_encoded_them() -> None:
    encoding = "<EncodingType>url</EncodingType>"

    assert [each.key for each in read_page(document(entry("a%2Fb+%01"), more=encoding), "").objects] == [
        "a/b \x01"
    ]
    assert [each.key for each in read_page(document(entry("a%2Fb+")), "").objects] == ["a%2Fb+"]


def test_a_listing_that_goes_on_says_where() -> None:
    goes_on = "<IsTruncated>true</IsTruncated>"
    token = "<NextContinuationToken>t/1=</NextContinuationToken>"

    assert read_page(document(entry("a"), more=goes_on + token), "").next_token == "t/1="
    assert read_page(document(entry("a"), more=token), "").next_token is None
    with pytest.raises(BadAnswer):
        read_page(document(entry("a"), more=goes_on), "")


def test_all_that_a_listing_tells_of_an_object_is_read() -> None:
    told = entry("k%2B1") + "<StorageClass>GLACIER</StorageClass>"

    assert read_listing(document(told)).entries == (
        Entry(
            key="k%2B1",
            size_bytes=5,
            etag="e",
            storage_class="GLACIER",
            changed_at_us=1_767_323_045_678_000,
        ),
    )


def test_a_time_that_is_not_understood_is_none() -> None:
    assert read_page(document(entry("a", at="yesterday")), "").objects[0].changed_at_us is None


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"not xml",
        b'<!DOCTYPE a [<!ENTITY b "c">]><ListBucketResult/>',
        document(entry("a", size="many")),
        document(entry("a", size="-1")),
        document("<Size>5</Size>"),
        document(entry("%FF"), more="<EncodingType>url</EncodingType>"),
        document(entry("a"))[:-10],
    ],
)
def test_what_is_not_understood_is_refused(bad: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_page(bad, "")
