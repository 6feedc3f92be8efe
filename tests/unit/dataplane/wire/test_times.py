"""Times are written as S3 writes them, and read in every form that HTTP ever had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.wire.times import amz_date, http_date, iso_time, parse_amz_date, parse_http_date

AT_S = 784111777


def test_the_forms_s3_writes() -> None:
    assert http_date(AT_S) == "Sun, 06 Nov 1994 08:49:37 GMT"
    assert iso_time(AT_S * 1_000_000 + 999_999) == "1994-11-06T08:49:37.999Z"
    assert amz_date(AT_S) == "19941106T084937Z"


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_the_three_forms_of_http(text: str) -> None:
    assert parse_http_date(text) == AT_S


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "Sun, 06 Nov 1994 08:49:37 PST",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Xyz 1994 08:49:37 GMT",
        "1994-11-06",
    ],
)
def test_what_is_no_http_date(text: str) -> None:
    assert parse_http_date(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "19941106T084937", "19941306T084937Z", "00000101T000000Z", "1994١106T084937Z", "19941106t084937z"],
)
def test_what_is_no_amz_date(text: str) -> None:
    assert parse_amz_date(text) is None


@given(st.integers(min_value=0, max_value=253402300799))
def test_what_is_written_is_read(seconds: int) -> None:
    assert parse_http_date(http_date(seconds)) == seconds
    assert parse_amz_date(amz_date(seconds)) == seconds
