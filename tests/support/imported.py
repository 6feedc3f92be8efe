"""A small deployment with a remote store in which objects lay before it was a backend."""

from functools import partial
from pathlib import Path

from engine.clock import uuid7
from engine.imported import ImportedObject, is_imported
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.importing import Importable, Stand, import_objects
from engine.metadata.store import Store
from engine.records import BackendState, Copies, Location, ObjectHeaders, Sealing
from engine.units import KIB, MIB
from engine.upkeep.long_work import Unpaced
from engine.upkeep.prefix_healing import Damage, preview_healing
from engine.upkeep.replication_works import ObjectHealing, ObjectOrder
from tests.support.deployments import no_fence
from tests.support.interruptions import InterruptedStore
from tests.support.metadata import assert_consistent
from tests.support.moving import drain_of, run_steps, set_state, state_of
from tests.support.objects import BUCKET, ObjectRig, Shape, key_of
from tests.support.pieces import payload_of, tail_of
from tests.support.replication import policy_of

SIZES = (0, 700, 300 * KIB, 2 * MIB + 200 * KIB)
NEVER = 1_000_000


class Far:
    """A remote store with objects that were there before, beside a volume and another remote store."""

    def __init__(self, folder: Path, *, seal: Sealing = Sealing.NONE, copy_count: int = 2) -> None:
        self._interrupted: InterruptedStore | None = None
        shape = Shape(volume_count=1, memory_count=2, scheme=Copies(count=copy_count), seal=seal)
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

    def prepare(self, number: int, *, drains: bool = True) -> None:
        """Fresh objects in place, in a store that takes pieces; with `drains` it takes no more from then on."""
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
        if drains:
            set_state(rig, far.backend_id, BackendState.DRAINING)

    def heal(self) -> list[str]:
        """What an operator asks for; what is wrong still."""
        stuck = []
        for key in self.contents:
            version_seq = self.rig.find(key).version.version_seq
            order = ObjectOrder(bucket=BUCKET, key=key.encode(), version_id="", version_seq=version_seq)
            work = ObjectHealing(
                self.rig.integrity(), policy_of(self.rig), order, fence=no_fence, pace=Unpaced()
            )
            for step in run_steps(work):
                stuck += [each for each in step.warnings if "stays" in each or step.failed_count]
        return stuck

    def foresee(self) -> Damage:
        """What healing everything would do."""
        bucket = OwnBucket(name=BUCKET, bucket_id=self.rig.objects.buckets.get(BUCKET).bucket_id)
        return preview_healing(self.rig.store, policy_of(self.rig), bucket, b"")

    def drain(self) -> None:
        run_steps(drain_of(self.rig, self.backend_id))

    def places(self, key: str) -> list[Location]:
        """Where the pieces of an object lie."""
        return [at for each in self.rig.find(key).slices for at in each.locations]

    def read(self) -> dict[str, bytes]:
        return {key: self.rig.get(key) for key in self.contents}

    def check(self, where: str, *, was_drained: bool = True) -> None:
        """All are objects of ours, in two copies each, and nothing else is left."""
        rig = self.rig
        if was_drained:
            assert state_of(rig, self.backend_id) is BackendState.DRAINED, where
        for _ in range(2):
            assert self.read() == self.contents, where
            for key in self.contents:
                stored = rig.find(key)
                assert all(each.blob.has_checksums for each in stored.slices), where
                assert all(len({at.backend_id for at in each.locations}) == 2 for each in stored.slices), (
                    where
                )
                places = [at for each in stored.slices for at in each.locations]
                assert not any(is_imported(at.storage_key) for at in places), where
                assert not was_drained or self.backend_id not in {at.backend_id for at in places}, where
            report = rig.settle()
            assert report.is_clean, (where, report.findings)
            assert rig.unaccounted() == set(), where
        left = rig.memories[0].storage_keys()
        assert not was_drained or not left, where
        assert not any(map(is_imported, left)), where
        assert_consistent(rig.store)
