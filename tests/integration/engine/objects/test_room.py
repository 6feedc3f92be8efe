"""Quotas and full disks: refused before the body where it can be known, never exceeded, nothing left of what failed."""

import errno
import os
from functools import partial
from pathlib import Path

import apsw
import pytest

from engine.backends.memory import Call, Fault
from engine.errors import BucketQuotaExceeded, DatabaseFull, NoSpaceAnywhere
from engine.metadata.quota import backend_subject, read_quota
from engine.records import Copies
from engine.streams import ExpectedDigests
from engine.units import KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.bodies import BytesBody
from tests.support.objects import ObjectRig, Shape
from tests.support.pieces import payload_of
from tests.support.sqlite_files import SqliteDisk, watched_sqlite
from tests.support.volumes import FailingDisk

HELD, STREAMED = 20 * KIB, 200 * KIB


@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_a_bucket_takes_what_fits_and_refuses_the_rest_unread(make_rig: MakeRig, size: int) -> None:
    rig = make_rig(bucket_quota_bytes=2 * size)
    rig.put("a", payload_of(size))
    rig.put("b", payload_of(size))
    body = BytesBody(b"x")

    with pytest.raises(BucketQuotaExceeded):
        rig.put("c", body)

    assert body.read_count == 0
    rig.put("a", payload_of(size, seed=1))
    with pytest.raises(BucketQuotaExceeded):
        rig.put("a", payload_of(size + 1))
    rig.delete("b")
    rig.put("c", payload_of(size))
    rig.put("empty", b"")
    assert rig.keys() == ["a", "c", "empty"]
    assert rig.settle().is_clean


def test_a_bucket_that_filled_up_while_the_body_came_refuses_the_commit(make_rig: MakeRig) -> None:
    rig = make_rig(bucket_quota_bytes=30 * KIB)

    class Body(BytesBody):
        def finish(self) -> ExpectedDigests:
            rig.put("rival", payload_of(HELD))
            return super().finish()

    with pytest.raises(BucketQuotaExceeded):
        rig.put("k", Body(payload_of(HELD)))

    assert rig.keys() == ["rival"]
    assert rig.settle().is_clean


@pytest.mark.parametrize("size", [HELD, STREAMED])
@pytest.mark.parametrize("backends", [{"volume_count": 2}, {"volume_count": 0, "memory_count": 2}])
def test_backends_fill_up_to_their_quotas_and_never_beyond(
    make_rig: MakeRig, size: int, backends: dict[str, int]
) -> None:
    quota_bytes = 5 * size
    rig = make_rig(backend_quota_bytes=quota_bytes, **backends)
    stored = 0

    while True:
        body = BytesBody(payload_of(size, seed=stored))
        try:
            rig.put(f"k{stored}", body)
        except NoSpaceAnywhere:
            break
        stored += 1

    assert 6 <= stored <= 10
    assert body.read_count == 0
    for backend in rig.backends:
        totals = rig.store.read(partial(read_quota, subject=backend_subject(backend.backend_id)))
        assert totals is not None
        assert totals.used_bytes + totals.orphan_bytes <= quota_bytes
    assert all(rig.get(f"k{n}") == payload_of(size, seed=n) for n in range(stored))
    rig.delete("k0")
    assert rig.settle().is_clean
    rig.restart()
    rig.put("again", payload_of(size))
    assert rig.settle().is_clean


def test_a_backend_that_was_full_at_the_commit_gives_way_to_another(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, backend_quota_bytes=100 * KIB)
    rig.put("first", payload_of(HELD))

    class Body(BytesBody):
        def finish(self) -> ExpectedDigests:
            # The view of free room is a second old by then; the rows are not.
            rig.put("rival", payload_of(60 * KIB))
            rig.put("another", payload_of(60 * KIB))
            return super().finish()

    rig.put("k", Body(payload_of(30 * KIB)))

    assert rig.get("k") == payload_of(30 * KIB)
    assert rig.settle().is_clean


@pytest.mark.parametrize("size", [HELD, STREAMED])
def test_a_full_disk_refuses_what_would_go_there_and_takes_writes_again_later(
    tmp_path: Path, size: int
) -> None:
    is_full = [False]

    def on_call(call: str) -> None:
        if is_full[0] and call in ("write", "reserve"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    shape = Shape(scheme=Copies(count=2))
    rig = ObjectRig(tmp_path / "rig", shape, disk=FailingDisk(on_call))
    rig.put("k", payload_of(size))
    is_full[0] = True

    with pytest.raises(NoSpaceAnywhere):
        rig.put("k", payload_of(size, seed=1))

    assert rig.get("k") == payload_of(size)
    rig.delete("k")
    is_full[0] = False
    rig.put("k", payload_of(size, seed=2))
    assert rig.get("k") == payload_of(size, seed=2)
    assert rig.settle().is_clean
    rig.close()


@pytest.mark.sqlite_only
def test_a_full_disk_under_the_database_refuses_writes_and_serves_reads(tmp_path: Path) -> None:
    class FullDisk(SqliteDisk):
        is_full = False

        def write(self, path, data, offset, call):  # type: ignore[no-untyped-def]
            if self.is_full:
                raise apsw.FullError("no room")
            call()

    disk = FullDisk()
    with watched_sqlite(disk):
        rig = ObjectRig(tmp_path / "rig", Shape(volume_count=1, memory_count=1, scheme=Copies(count=2)))
        rig.put("k", payload_of(HELD))
        disk.is_full = True

        for act in (lambda: rig.put("k", b"new"), lambda: rig.delete("k"), lambda: rig.copy("k", "l")):
            with pytest.raises(DatabaseFull):
                act()

        assert rig.get("k") == payload_of(HELD)
        disk.is_full = False
        rig.put("k", payload_of(STREAMED))
        assert rig.get("k") == payload_of(STREAMED)
        assert rig.settle().is_clean
        assert rig.unaccounted() == set()
        rig.close()


def test_a_remote_store_that_is_full_is_asked_once_for_a_blob(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=0, memory_count=2)
    full = rig.memories[0]
    full.faults.add(Call.STORE, Fault.FULL, count=3)
    full.faults.add(Call.OPEN_WRITER, Fault.FULL, count=3)

    for number in range(4):
        rig.put(f"k{number}", payload_of(MIB if number % 2 else HELD, seed=number))

    assert full.storage_keys() == []
    assert rig.settle().is_clean
