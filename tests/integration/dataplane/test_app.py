"""Which deployments may run small writes on the loop."""

from pathlib import Path

import pytest

from dataplane.app import build_plane
from dataplane.server.contract import Lane
from tests.support.served import Served


@pytest.mark.parametrize(("inline_buffer", "is_parked"), [("1MiB", True), ("64KiB", True), ("4KiB", False)])
def test_small_writes_run_on_the_loop_only_where_they_are_held_in_memory(
    tmp_path: Path, inline_buffer: str, is_parked: bool
) -> None:
    served = Served(
        tmp_path,
        edit_config=lambda text: text.replace(
            "\nstorage:\n", f"\nstorage:\n  inline_buffer_bytes: {inline_buffer}\n"
        ),
    )

    plane = build_plane(served.config, version="0")
    lane = plane.classify("PUT", b"/bucket/key", [], 10)
    plane.close()

    assert (lane is Lane.PARKING) is is_parked
