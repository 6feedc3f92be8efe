"""Connections never take the open files that reading objects needs."""

import resource

import pytest

from dataplane.open_files import connections_within


@pytest.mark.parametrize(
    ("open_files", "expected"),
    [(1024, 512), (256, 128), (65_536, 20_000), (20_000, 19_488), (resource.RLIM_INFINITY, 20_000)],
)
def test_some_files_are_kept_for_everything_else(open_files: int, expected: int) -> None:
    assert connections_within(open_files, wanted_count=20_000) == expected
