"""Fields are read as checked values, or the field at fault is named; page tokens come back as they went."""

import pytest

from controlplane.fields import (
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    Page,
    read_id,
    read_name,
    read_page_size,
    read_page_token,
    write_page_token,
)
from engine.errors import MalformedField


def test_a_name_is_its_last_segment() -> None:
    assert read_name("name", "backends/near", "backends") == "near"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "near",
        "backends",
        "backends/",
        "/near",
        "workers/near",
        "backends/near/far",
        "backends//near",
        "backends/\x1b[31m",
        "backends/" + "x" * 256,
        "Backends/near",
    ],
)
def test_any_other_name_is_refused_by_field(name: str) -> None:
    with pytest.raises(MalformedField) as refused:
        read_name("name", name, "backends")

    assert refused.value.field == "name"
    assert len(refused.value.message) < 400


@pytest.mark.parametrize("leaf", ["", "0" * 31, "0" * 33, "g" * 32, "0" * 34, "-" * 32])
def test_an_id_is_thirty_two_hex_digits(leaf: str) -> None:
    assert read_id("name", "instances/" + "0f" * 16, "instances") == b"\x0f" * 16

    with pytest.raises(MalformedField):
        read_id("name", f"instances/{leaf}", "instances")


@pytest.mark.parametrize(
    ("asked", "size"),
    [(0, PAGE_SIZE_DEFAULT), (1, 1), (1000, 1000), (1001, PAGE_SIZE_MAX), (2**31 - 1, 1000)],
)
def test_a_page_size_is_held_to_its_bounds(asked: int, size: int) -> None:
    assert read_page_size(asked) == size


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(MalformedField) as refused:
        read_page_size(-1)

    assert refused.value.field == "page_size"


@pytest.mark.parametrize("position", ["near", "ünïcode", "a/b=c", "0"])
def test_a_token_comes_back_as_its_position(position: str) -> None:
    assert read_page_token(write_page_token(position)) == position


def test_no_token_is_the_first_page_and_no_position_the_last() -> None:
    assert read_page_token("") is None
    assert write_page_token(None) == ""


@pytest.mark.parametrize("token", ["a", "ä", "gA==", "====x", "____", "\x00"])
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    with pytest.raises(MalformedField) as refused:
        read_page_token(token)

    assert refused.value.field == "page_token"


def test_pages_add_up_to_the_list_whatever_left_it_meanwhile() -> None:
    names = ["a", "b", "c", "d", "e"]

    first, position = Page(size=2, after=None).of(names, str)
    names.remove("b")
    second, after_second = Page(size=2, after=position).of(names, str)
    third, end = Page(size=2, after=after_second).of(names, str)

    assert [*first, *second, *third] == ["a", "b", "c", "d", "e"]
    assert end is None


def test_a_page_that_ends_the_list_has_no_next() -> None:
    assert Page(size=3, after=None).of(["a", "b", "c"], str) == (["a", "b", "c"], None)
    assert Page(size=3, after="c").of(["a", "b", "c"], str) == ([], None)
