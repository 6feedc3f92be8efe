"""A power cut at any moment: what was acknowledged reads back byte for byte, the request under way is old or new.

Volumes and database are cut together, at the same point of one order of writes and syncs; every other run has two
clients, whose appends share syncs and whose commits share groups.
"""

import os
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from engine.backends.volume.identity import IDENTITY_NAME
from engine.errors import NoSuchKey
from engine.metadata.sqlite.store import SqliteStore
from engine.objects.multipart import WrittenPart
from engine.records import Copies, Sealing
from engine.units import KIB
from engine.upkeep.fsck_report import Problem
from tests.support.metadata import DATABASE
from tests.support.moving import move_all
from tests.support.objects import ObjectRig, Shape
from tests.support.pieces import payload_of
from tests.support.power_cuts import Recorder, RecordingDisk, RecordingSqlite
from tests.support.sqlite_files import watched_sqlite

CUT_COUNT = int(os.environ.get("PENSTOCK_CHAOS_CUTS", "60"))
SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", "1"))
CUTS_PER_RUN = 10
REQUEST_COUNT = 24

KEYS = ["a", "b", "c", "d"]
SIZES = [0, 10, 5_000, 64 * KIB, 150 * KIB, 700 * KIB]

SHAPES = [
    Shape(
        scheme=Copies(count=2),
        chunk_bytes=256 * KIB,
        part_size_min_bytes=0,
        seal=Sealing.ALL,
        fill_bytes=64 * KIB,
    ),
    Shape(volume_count=1, chunk_bytes=256 * KIB, part_size_min_bytes=0),
    Shape(
        volume_count=3,
        scheme=Copies(count=2),
        chunk_bytes=256 * KIB,
        part_size_min_bytes=0,
        volume_size_max_bytes=512 * KIB,
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that was acknowledged: what it made of its key (null: nothing), and which events it lay between."""

    name: str
    key: str
    content: bytes | None
    begun: int
    acknowledged: int


@dataclass(slots=True, kw_only=True)
class Workload:
    """Requests for some keys, one after the other, and upkeep between them; `contents` is what stands now."""

    rig: ObjectRig
    recorder: Recorder
    generator: random.Random
    keys: list[str]
    does_upkeep: bool
    contents: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    payload_count: int = 0

    def run(self) -> None:
        moves = [self.put, self.put, self.overwrite, self.overwrite, self.complete, self.delete, self.copy]
        for number in range(REQUEST_COUNT):
            self.generator.choice(moves)()
            if self.does_upkeep and number % 6 == 5:
                self.generator.choice([self.checkpoint, self.clean_up, self.compact, self.move])()

    def put(self) -> None:
        key, data = self.generator.choice(self.keys), self.payload()
        self.request("put", key, data, lambda: self.rig.put(key, data))

    def overwrite(self) -> None:
        if self.contents:
            key, data = self.generator.choice(sorted(self.contents)), self.payload()
            self.request("overwrite", key, data, lambda: self.rig.put(key, data))

    def delete(self) -> None:
        if self.contents:
            key = self.generator.choice(sorted(self.contents))
            self.request("delete", key, None, lambda: self.rig.delete(key))

    def copy(self) -> None:
        if self.contents:
            source, target = self.generator.choice(sorted(self.contents)), self.generator.choice(self.keys)
            self.request("copy", target, self.contents[source], lambda: self.rig.copy(source, target))

    def complete(self) -> None:
        key, pieces = self.generator.choice(self.keys), [self.payload(), self.payload()]
        upload_id = self.rig.begin_upload(key)
        parts: list[WrittenPart] = [
            self.rig.put_part(upload_id, key, number, data) for number, data in enumerate(pieces, start=1)
        ]
        self.request("complete", key, b"".join(pieces), lambda: self.rig.complete(upload_id, key, parts))

    def request(self, name: str, key: str, content: bytes | None, act: Callable[[], object]) -> None:
        begun = self.recorder.position()
        act()
        if content is None:
            del self.contents[key]
        else:
            self.contents[key] = content
        self.requests.append(
            Request(name=name, key=key, content=content, begun=begun, acknowledged=self.recorder.position())
        )

    def checkpoint(self) -> None:
        connection = apsw.Connection(str(self.rig.folder / "meta.db"))
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        connection.close()

    def clean_up(self) -> None:
        self.rig.reap()
        self.rig.clean_up()

    def compact(self) -> None:
        self.rig.reap()
        self.rig.compact()

    def move(self) -> None:
        """What a drain does, with one of the backends that may have another in its place."""
        move_all(self.rig, self.generator.choice(self.rig.volumes).backend_id)

    def payload(self) -> bytes:
        self.payload_count += 1
        return payload_of(
            self.generator.choice(SIZES), seed=self.payload_count * 10 + KEYS.index(self.keys[0])
        )


def expected(requests: list[Request], position: int) -> dict[str, set[bytes | None]]:
    """What each key may read as after a cut there: one content, or two while a request for it is under way."""
    states: dict[str, set[bytes | None]] = {key: {None} for key in KEYS}
    for each in requests:
        if each.acknowledged <= position:
            states[each.key] = {each.content}
        elif each.begun < position:
            states[each.key].add(each.content)
    return states


def read_or_none(rig: ObjectRig, key: str) -> bytes | None:
    try:
        return rig.get(key)
    except NoSuchKey:
        return None


def lay_out(image: dict[str, bytes], before: Path, after: Path) -> None:
    for name, content in image.items():
        path = after / Path(name).relative_to(before)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for identity in before.glob(f"*/{IDENTITY_NAME}"):
        (after / identity.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(identity, after / identity.parent.name)


@pytest.mark.timeout(60 + 2 * CUT_COUNT)
@pytest.mark.parametrize("run", range(-(-CUT_COUNT // CUTS_PER_RUN)))
def test_every_acknowledged_object_survives_and_the_one_under_way_is_old_or_new(
    tmp_path: Path, run: int
) -> None:
    generator = random.Random(f"{SEED}:{run}")
    recorder = Recorder()
    before = tmp_path / "before"
    shape = SHAPES[run % len(SHAPES)]
    with watched_sqlite(RecordingSqlite(recorder)):
        # Made here and not copied, as all that is written is to be seen.
        before.mkdir()
        SqliteStore(before / DATABASE).close()
        rig = ObjectRig(before, shape, disk=RecordingDisk(recorder))
        first = recorder.position()
        client_count = 1 + run % 2
        clients = [
            Workload(
                rig=rig,
                recorder=recorder,
                generator=random.Random(f"{SEED}:{run}:{number}"),
                keys=KEYS[number::client_count],
                does_upkeep=number == 0,
            )
            for number in range(client_count)
        ]
        with ThreadPoolExecutor(client_count) as pool:
            list(pool.map(Workload.run, clients))
        last = recorder.position()
        rig.close()

    requests = [each for client in clients for each in client.requests]
    for cut in range(CUTS_PER_RUN):
        position = generator.randint(first, last)
        after = tmp_path / f"cut-{cut}"
        lay_out(recorder.image(position, generator), before, after)

        survivor = ObjectRig(after, shape, ring_record=rig.ring_record)
        try:
            check(survivor, expected(requests, position), f"run {run}, cut {cut} at {position}")
        finally:
            survivor.close()
        shutil.rmtree(after)


def check(rig: ObjectRig, states: dict[str, set[bytes | None]], where: str) -> None:
    assert isinstance(rig.store, SqliteStore)
    assert rig.store.quick_check() == [], where
    found = {key: read_or_none(rig, key) for key in KEYS}
    assert [key for key in KEYS if found[key] not in states[key]] == [], where
    assert losses(rig) == [], where

    rig.reap()
    rig.clean_up()
    rig.put("after the cut", payload_of(5_000))
    rig.put("after the cut, streamed", payload_of(200 * KIB))
    rig.restart()

    assert {key: read_or_none(rig, key) for key in KEYS} == found, where
    assert rig.get("after the cut") == payload_of(5_000), where
    assert rig.get("after the cut, streamed") == payload_of(200 * KIB), where
    assert losses(rig) == [], where


def losses(rig: ObjectRig) -> list[object]:
    """What fsck finds, but for a file that was made and not written to yet."""
    return [each for each in rig.fsck().findings if each.problem is not Problem.FILE_WITHOUT_ROW]
