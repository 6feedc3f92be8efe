"""Wishes end by themselves, survive no damage, and a file that says too much or nothing is none."""

import os
import time
from pathlib import Path

import pytest

from engine.telling.wishes import NOTHING, LevelWish, TraceWish, Wishes, WishesFile


def in_s(seconds: float) -> int:
    return time.time_ns() // 1000 + int(seconds * 1_000_000)


def test_what_is_written_is_read_by_others(tmp_path: Path) -> None:
    wishes = Wishes(
        levels={"penstock.server": LevelWish(level=10, until_us=in_s(60))},
        trace=TraceWish(errors_only=True, sample=0.5, until_us=in_s(10)),
    )
    WishesFile(tmp_path).write(wishes)

    assert WishesFile(tmp_path).look() == wishes
    assert os.stat(tmp_path / "wishes.json").st_mode & 0o777 == 0o600


def test_a_change_is_noticed(tmp_path: Path) -> None:
    writer, reader = WishesFile(tmp_path), WishesFile(tmp_path)
    assert reader.look() == NOTHING
    wishes = Wishes(levels={"penstock": LevelWish(level=10, until_us=in_s(60))})
    writer.write(wishes)
    assert reader.look() == wishes

    (tmp_path / "wishes.json").unlink()

    assert reader.look() == NOTHING


@pytest.mark.parametrize("seconds", [-1, 90_000])
def test_a_wish_that_is_over_or_lasts_too_long_is_none(tmp_path: Path, seconds: float) -> None:
    wishes = Wishes(
        levels={"penstock": LevelWish(level=10, until_us=in_s(seconds))},
        trace=TraceWish(errors_only=False, sample=1.0, until_us=in_s(seconds)),
    )
    WishesFile(tmp_path).write(wishes)

    assert WishesFile(tmp_path).look() == NOTHING


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b"\xff", b'{"levels":[],"trace":null}', b'{"levels":{"a":1},"trace":3}'],
)
def test_a_damaged_file_wishes_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wishes.json").write_bytes(content)

    assert WishesFile(tmp_path).look() == NOTHING
