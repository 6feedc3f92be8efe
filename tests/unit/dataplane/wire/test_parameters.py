"""Query parameters are numbers, ids and tokens only when they really are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.wire.parameters import (
    read_list_buckets,
    read_list_parts,
    read_list_uploads,
    read_list_v1,
    read_list_v2,
    read_object_size,
    read_part_number,
    read_token,
    read_upload_id,
    read_version_id,
    upload_id_text,
    write_token,
)
from dataplane.wire.refusals import InvalidArgument
from dataplane.wire.target import Target, parse_target
from engine.errors import NoSuchUpload

UPLOAD = bytes(range(16))


def at(query: str) -> Target:
    return parse_target(f"/bucket/key?{query}".encode())


@pytest.mark.parametrize(
    ("text", "limit"),
    [("0", 0), ("1", 1), ("1000", 1000), ("1001", 1000), ("1000000000000", 1000), ("", 1000)],
)
def test_b22_a_page_holds_at_most_a_thousand(text: str, limit: int) -> None:
    assert read_list_v1(at(f"max-keys={text}")).limit == limit
    assert read_list_v2(at(f"max-keys={text}")).limit == limit
    assert read_list_uploads(at(f"max-uploads={text}")).limit == limit
    assert read_list_parts(at(f"uploadId={UPLOAD.hex()}&max-parts={text}")).limit == limit


@pytest.mark.parametrize("text", ["-1", "abc", "1.0", "0x10", "1_0", "+1", "%D9%A1", "9" * 5000, "%201"])
def test_b22_a_count_that_is_none_is_refused(text: str) -> None:
    for read, name in (
        (read_list_v1, "max-keys"),
        (read_list_v2, "max-keys"),
        (read_list_uploads, "max-uploads"),
    ):
        with pytest.raises(InvalidArgument):
            read(at(f"{name}={text}"))
    for name in ("max-parts", "part-number-marker"):
        with pytest.raises(InvalidArgument):
            read_list_parts(at(f"uploadId={UPLOAD.hex()}&{name}={text}"))


@pytest.mark.parametrize("encoding", ["foo", "", "URL"])
def test_b22_keys_are_encoded_in_one_way_only(encoding: str) -> None:
    assert read_list_v1(at("encoding-type=url")).is_url_encoded
    with pytest.raises(InvalidArgument):
        read_list_v1(at(f"encoding-type={encoding}"))


@pytest.mark.parametrize("text", ["%25_%5C%27", "a" * 2048, "%00", "%C3%A9", "+", "%2F%2F"])
def test_b24_prefixes_delimiters_and_markers_are_bytes(text: str) -> None:
    raw = parse_target(f"/bucket?p={text}".encode()).query[0][1].encode()

    query = read_list_v1(at(f"prefix={text}&delimiter={text}&marker={text}"))

    assert (query.prefix, query.delimiter, query.after) == (raw, raw, raw)


def test_a_continuation_token_wins_over_start_after() -> None:
    token = write_token(b"m")

    assert read_list_v2(at("start-after=a")).after == b"a"
    assert read_list_v2(at(f"start-after=a&continuation-token={token}")).after == b"m"


def test_owners_are_listed_when_asked_for() -> None:
    assert read_list_v2(at("fetch-owner=true")).wants_owner
    assert not read_list_v2(at("list-type=2")).wants_owner
    assert read_list_v1(at("")).wants_owner


@given(st.binary(max_size=1024))
def test_tokens_come_back_as_they_went(after: bytes) -> None:
    assert read_token(write_token(after)) == after


@pytest.mark.parametrize("token", ["", "garbage", "AAAA", "é", "AAAAAGFiYw==", "a" * 5000, "=" * 8])
def test_a_token_nobody_wrote_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgument):
        read_token(token)


@pytest.mark.parametrize("text", ["0", "10001", "-1", "abc", "1.0", "", "1e3", "%D9%A1", "9" * 400])
def test_f18_a_part_number_lies_between_1_and_10000(text: str) -> None:
    with pytest.raises(InvalidArgument):
        read_part_number(at(f"partNumber={text}"))


def test_f18_part_numbers() -> None:
    assert [read_part_number(at(f"partNumber={n}")) for n in ("1", "10000", "00007")] == [1, 10000, 7]
    with pytest.raises(InvalidArgument):
        read_part_number(at("other=1"))


@pytest.mark.parametrize("text", ["", "bogus", "../x", "A" * 32, "0" * 31, "0" * 33, UPLOAD.hex() + "%00"])
def test_f23_an_id_of_another_form_names_no_upload(text: str) -> None:
    with pytest.raises(NoSuchUpload):
        read_upload_id(at(f"uploadId={text}"))


def test_an_upload_id_is_one_text() -> None:
    assert read_upload_id(at(f"uploadId={upload_id_text(UPLOAD)}")) == UPLOAD


def test_an_upload_marker_counts_beside_a_key_marker() -> None:
    both = read_list_uploads(at(f"key-marker=k&upload-id-marker={UPLOAD.hex()}"))
    alone = read_list_uploads(at(f"upload-id-marker={UPLOAD.hex()}"))

    assert (both.after, both.after_upload_id) == (b"k", UPLOAD)
    assert (alone.after, alone.after_upload_id) == (b"", None)
    with pytest.raises(InvalidArgument):
        read_list_uploads(at("key-marker=k&upload-id-marker=x"))


@pytest.mark.parametrize("text", ["bogus", "", "../x", "NULL", "0" * 31, "null "])
def test_b25_a_version_id_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        read_version_id(text)


def test_b25_version_ids() -> None:
    assert read_version_id(None) is None
    assert read_version_id("null") == "null"
    assert read_version_id("0190163d-8694-739a-823e-1d2b6e1f8f0a") == "0190163d8694739a823e1d2b6e1f8f0a"


@pytest.mark.parametrize("count", ["0", "10001", "-1", "x"])
def test_bucket_pages_have_bounds_of_their_own(count: str) -> None:
    assert read_list_buckets(at("max-buckets=10000")).limit == 10_000
    with pytest.raises(InvalidArgument):
        read_list_buckets(at(f"max-buckets={count}"))


def test_the_size_of_a_completed_upload_is_a_number() -> None:
    assert read_object_size({"x-amz-mp-object-size": "5"}) == 5
    assert read_object_size({}) is None
    with pytest.raises(InvalidArgument):
        read_object_size({"x-amz-mp-object-size": "-5"})
