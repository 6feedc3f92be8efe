"""A small deployment with a remote store in which objects lay before it was a backend."""

from functools import partial
from pathlib import Path

from engine.clock import uuid7
from engine.imported import ImportedObject
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.importing import Importable, Stand, import_objects
from engine.metadata.store import Store
from engine.records import BackendState, Copies, ObjectHeaders, Sealing
from engine.units import KIB, MIB
from tests.support.interruptions import InterruptedStore
from tests.support.metadata import assert_consistent
from tests.support.moving import drain_of, run_steps, set_state, state_of
from tests.support.objects import BUCKET, ObjectRig, Shape, key_of
from tests.support.pieces import payload_of, tail_of

SIZES = (0, 700, 300 * KIB, 2 * MIB + 200 * KIB)
NEVER = 1_000_000


class Far:
    """A remote store with objects that were there before, beside a volume and another remote store."""

    def __init__(self, folder: Path, *, seal: Sealing = Sealing.NONE) -> None:
        self._interrupted: InterruptedStore | None = None
        shape = Shape(volume_count=1, memory_count=2, scheme=Copies(count=2), seal=seal)
        self.rig = ObjectRig(folder, shape, wrap_store=self._wrap)
        self.contents: dict[str, bytes] = {}

    @property
    def backend_id(self) -> int:
        return self.rig.memories[0].backend_id

    def die_at(self, number: int, *, is_committed: bool) -> None:
        """The write of the use cases of that number, from 1 and now, is the process's last."""
        self._at, self._is_committed = number, is_committed
        self.rig.restart()

    _at = NEVER
    _is_committed = False

    def _wrap(self, store: Store) -> Store:
        return InterruptedStore(store, at=self._at, is_committed=self._is_committed)

    def live_on(self) -> None:
        self._at = NEVER
        self.rig.crash()

    def prepare(self, number: int) -> None:
        """Fresh objects in place, in a store that takes pieces."""
        rig, far = self.rig, self.rig.memories[0]
        set_state(rig, far.backend_id, BackendState.ACTIVE)
        for key in list(self.contents):
            rig.delete(key)
        self.contents = {
            f"{number}-{size}": payload_of(size, seed=number * 10 + index) for index, size in enumerate(SIZES)
        }
        objects = []
        for key, payload in self.contents.items():
            source = ImportedObject(key=key, etag=f"e{number}")
            far.store(memoryview(payload), tail_of(payload), storage_key=source.storage_key)
            objects.append(
                Importable(
                    key=key_of(key),
                    source=source,
                    size_bytes=len(payload),
                    modified_at_us=1_000_000,
                    headers=ObjectHeaders(user={"colour": "blue"}),
                )
            )
        bucket_id = rig.objects.buckets.get(BUCKET).bucket_id
        unit = partial(
            import_objects,
            bucket=OwnBucket(name=BUCKET, bucket_id=bucket_id),
            objects=objects,
            backend_id=far.backend_id,
            backend_ids=[far.backend_id],
            ids=uuid7,
        )
        assert set(rig.store.write(unit)) == {Stand.FREE}
        rig.copy(f"{number}-{SIZES[2]}", f"{number}-copy")
        self.contents[f"{number}-copy"] = self.contents[f"{number}-{SIZES[2]}"]
        set_state(rig, far.backend_id, BackendState.DRAINING)

    def drain(self) -> None:
        run_steps(drain_of(self.rig, self.backend_id))

    def read(self) -> dict[str, bytes]:
        return {key: self.rig.get(key) for key in self.contents}

    def check(self, where: str) -> None:
        rig = self.rig
        assert state_of(rig, self.backend_id) is BackendState.DRAINED, where
        for _ in range(2):
            assert self.read() == self.contents, where
            for key in self.contents:
                stored = rig.find(key)
                assert all(each.blob.has_checksums for each in stored.slices), where
                assert all(len({at.backend_id for at in each.locations}) == 2 for each in stored.slices), (
                    where
                )
                assert all(
                    at.backend_id != self.backend_id for each in stored.slices for at in each.locations
                )
            report = rig.settle()
            assert report.is_clean, (where, report.findings)
            assert rig.unaccounted() == set(), where
        assert not rig.memories[0].storage_keys(), where
        assert_consistent(rig.store)
