"""A body is held or cut into blobs: of chunk size, in order, all of it, nothing for an empty one."""

import pytest

from engine.objects.storage_policy import StoragePolicy
from engine.records import Copies, Sealing
from engine.units import KIB, MIB

CHUNK = 64 * KIB


def policy(*, inline_bytes: int = 16 * KIB) -> StoragePolicy:
    return StoragePolicy(
        default_scheme=Copies(count=1),
        default_seal=Sealing.NONE,
        chunk_bytes=CHUNK,
        inline_buffer_bytes=inline_bytes,
    )


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, []),
        (1, [1]),
        (CHUNK - 1, [CHUNK - 1]),
        (CHUNK, [CHUNK]),
        (CHUNK + 1, [CHUNK, 1]),
        (3 * CHUNK, [CHUNK] * 3),
    ],
)
def test_a_body_is_cut_at_chunk_bytes(size_bytes: int, expected: list[int]) -> None:
    assert list(policy().blob_sizes(size_bytes)) == expected


def test_a_body_up_to_the_inline_buffer_is_held() -> None:
    assert [policy().is_held(size) for size in (0, 16 * KIB, 16 * KIB + 1)] == [True, True, False]


def test_no_held_body_is_more_than_one_blob() -> None:
    generous = policy(inline_bytes=MIB)

    assert [generous.is_held(size) for size in (CHUNK, CHUNK + 1)] == [True, False]
