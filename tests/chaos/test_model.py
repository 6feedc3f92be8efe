"""The object API against a dictionary: whatever is done in whatever order, both say the same; at the end nothing leaks.

Between requests the reaper, cleanup and compaction run, remote calls fail, and processes die. At the end of each run
rows and bytes are compared both ways.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from engine.backends.memory import Call, Fault
from engine.errors import (
    BackendsUnavailable,
    DigestMismatch,
    InvalidPart,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)
from engine.names import BucketName, bucket_name
from engine.objects.multipart import WrittenPart
from engine.objects.remove import RemoveOrder
from engine.records import Copies, ObjectHeaders, Sealing
from engine.streams import ExpectedDigests
from engine.units import KIB
from tests.support.bodies import BytesBody
from tests.support.engines import ENGINES, metadata_on
from tests.support.objects import BUCKET, ObjectRig, Shape, key_of
from tests.support.pieces import payload_of

EXAMPLE_COUNT = int(os.environ.get("PENSTOCK_MODEL_EXAMPLES", "30"))
IS_LONG = "PENSTOCK_MODEL_EXAMPLES" in os.environ
STEP_COUNT = 30

SEALED = bucket_name("sealed")
SINGLE = bucket_name("single")

BUCKETS = st.sampled_from([BUCKET, SEALED, SINGLE])
KEYS = st.sampled_from(["a", "a/b", "a/c", "b", "b/c/d", "ü", "z" * 900])
SIZES = st.sampled_from([0, 1, 1000, 16 * KIB, 16 * KIB + 1, 64 * KIB, 64 * KIB + 1, 150 * KIB, 300 * KIB])
SEEDS = st.integers(0, 1000)
FRACTIONS = st.floats(0, 1)

Place = tuple[BucketName, str]
T = TypeVar("T")


class UploadModel:
    """An upload as its client remembers it."""

    def __init__(self, upload_id: bytes, key: str) -> None:
        self.upload_id = upload_id
        self.key = key
        self.parts: dict[int, tuple[bytes, WrittenPart]] = {}

    def written(self) -> list[WrittenPart]:
        return [part for _, (_, part) in sorted(self.parts.items())]

    def content(self) -> bytes:
        return b"".join(data for _, (data, _) in sorted(self.parts.items()))


class ObjectModel(RuleBasedStateMachine):
    """`contents` is what clients were told; uploads move from open to ended."""

    opened: Bundle[UploadModel] = Bundle("opened")
    completed: Bundle[tuple[UploadModel, str]] = Bundle("completed")
    aborted: Bundle[UploadModel] = Bundle("aborted")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="penstock-model-"))
        self.contents: dict[Place, bytes] = {}
        self.marks: dict[Place, str] = {}

    @initialize(
        chunk_bytes=st.sampled_from([64 * KIB, 512 * KIB]),
        inline_bytes=st.sampled_from([0, 16 * KIB, 512 * KIB]),
    )
    def open(self, chunk_bytes: int, inline_bytes: int) -> None:
        self.rig = ObjectRig(
            self.folder / "rig",
            Shape(
                memory_count=1,
                scheme=Copies(count=2),
                chunk_bytes=chunk_bytes,
                inline_buffer_bytes=inline_bytes,
                part_size_min_bytes=0,
                volume_size_max_bytes=256 * KIB,
            ),
        )
        self.rig.make_bucket(SEALED, seal=Sealing.ALL)
        self.rig.make_bucket(SINGLE, scheme=Copies(count=1))

    # --- requests ---

    @rule(bucket=BUCKETS, key=KEYS, size=SIZES, seed=SEEDS)
    def put(self, bucket: BucketName, key: str, size: int, seed: int) -> None:
        data = payload_of(size, seed=seed)
        headers = ObjectHeaders(user={"mark": str(seed)})
        written = self.tried(bucket, lambda: self.rig.put(key, data, bucket=bucket, headers=headers))
        if written is None:
            return
        assert written.etag == hashlib.md5(data).hexdigest()
        self.remember((bucket, key), data, str(seed))

    @rule(bucket=BUCKETS, key=KEYS, size=SIZES)
    def put_if_there_is_none(self, bucket: BucketName, key: str, size: int) -> None:
        data = payload_of(size, seed=-1)

        def act() -> object:
            return self.rig.put(key, data, bucket=bucket, if_none_match=True)

        if (bucket, key) in self.contents:
            assert raises(PreconditionFailed, act)
        elif self.tried(bucket, act):
            self.remember((bucket, key), data, "")

    @rule(bucket=BUCKETS, key=KEYS, size=SIZES)
    def put_with_a_wrong_digest(self, bucket: BucketName, key: str, size: int) -> None:
        body = BytesBody(payload_of(size, seed=-2), expected=ExpectedDigests(md5=bytes(16)))
        expected = (DigestMismatch, BackendsUnavailable) if bucket == SINGLE else (DigestMismatch,)
        assert raises(expected, lambda: self.rig.put(key, body, bucket=bucket))

    @rule(bucket=BUCKETS, key=KEYS)
    def delete(self, bucket: BucketName, key: str) -> None:
        self.rig.delete(key, bucket=bucket)
        self.forget((bucket, key))

    @rule(bucket=BUCKETS, keys=st.lists(KEYS, max_size=5))
    def delete_many(self, bucket: BucketName, keys: list[str]) -> None:
        outcomes = self.rig.objects.remover.delete_many(
            bucket, [RemoveOrder(key=key_of(key)) for key in keys]
        )
        assert len(outcomes) == len(keys)
        for key in keys:
            self.forget((bucket, key))

    @rule(source_bucket=BUCKETS, source=KEYS, bucket=BUCKETS, key=KEYS, replaces=st.booleans())
    def copy(
        self, source_bucket: BucketName, source: str, bucket: BucketName, key: str, replaces: bool
    ) -> None:
        place = (source_bucket, source)
        headers = ObjectHeaders(user={"mark": "copied"}) if replaces else None

        def act() -> object:
            return self.rig.copy(source, key, source_bucket=source_bucket, bucket=bucket, headers=headers)

        if place not in self.contents:
            assert raises(NoSuchKey, act)
            return
        if self.tried(SINGLE if SINGLE in (bucket, source_bucket) else bucket, act) is None:
            return
        mark = "copied" if replaces else self.marks[place]
        self.remember((bucket, key), self.contents[place], mark)

    @rule(bucket=BUCKETS, key=KEYS, start=FRACTIONS, stop=FRACTIONS)
    def get(self, bucket: BucketName, key: str, start: float, stop: float) -> None:
        expected = self.contents.get((bucket, key))
        if expected is None:
            assert raises(NoSuchKey, lambda: self.rig.find(key, bucket=bucket))
            return
        first, last = sorted((int(start * len(expected)), int(stop * len(expected))))
        stored = self.rig.find(key, bucket=bucket)
        found = self.tried(bucket, lambda: self.rig.read(stored, first, last))
        assert found in (None, expected[first:last])
        assert stored.version.size_bytes == len(expected)
        assert stored.version.headers.user.get("mark", "") == self.marks[bucket, key]

    @rule(bucket=BUCKETS)
    def list(self, bucket: BucketName) -> None:
        expected = sorted((key for at, key in self.contents if at == bucket), key=str.encode)
        assert self.rig.keys(bucket=bucket) == expected

    # --- multipart, in the plain bucket ---

    @rule(target=opened, key=KEYS)
    def begin_upload(self, key: str) -> UploadModel:
        upload_id = self.rig.begin_upload(key, headers=ObjectHeaders(user={"mark": "parts"}))
        return UploadModel(upload_id, key)

    @rule(upload=opened, number=st.integers(1, 4), size=SIZES, seed=SEEDS)
    def put_part(self, upload: UploadModel, number: int, size: int, seed: int) -> None:
        data = payload_of(size, seed=seed)
        upload.parts[number] = (data, self.rig.put_part(upload.upload_id, upload.key, number, data))

    @rule(target=completed, upload=consumes(opened))
    def complete(
        self, upload: UploadModel
    ) -> tuple[UploadModel, str] | MultipleResults[tuple[UploadModel, str]]:
        if not upload.parts:
            self.rig.abort_upload(upload.upload_id, upload.key)
            return multiple()
        done = self.rig.complete(upload.upload_id, upload.key, upload.written())
        assert not done.is_repeated
        self.remember((BUCKET, upload.key), upload.content(), "parts")
        return upload, done.etag

    @rule(upload=opened)
    def complete_with_a_part_that_is_not_there(self, upload: UploadModel) -> None:
        missing = WrittenPart(part_number=9, etag="0" * 32, size_bytes=1, checksums=(), created_at_us=0)
        listed = [*upload.written(), missing]
        assert raises(InvalidPart, lambda: self.rig.complete(upload.upload_id, upload.key, listed))

    @rule(done=completed)
    def complete_again(self, done: tuple[UploadModel, str]) -> None:
        upload, etag = done
        repeated = self.rig.complete(upload.upload_id, upload.key, upload.written())
        assert (repeated.etag, repeated.is_repeated) == (etag, True)

    @rule(target=aborted, upload=consumes(opened))
    def abort(self, upload: UploadModel) -> UploadModel:
        self.rig.abort_upload(upload.upload_id, upload.key)
        return upload

    @rule(upload=aborted)
    def an_aborted_upload_takes_nothing(self, upload: UploadModel) -> None:
        assert raises(NoSuchUpload, lambda: self.rig.put_part(upload.upload_id, upload.key, 1, b"too late"))

    # --- what goes on beside ---

    @rule(call=st.sampled_from(Call), fault=st.sampled_from(Fault), after_count=st.integers(0, 2))
    def a_remote_call_will_fail(self, call: Call, fault: Fault, after_count: int) -> None:
        # Two domains are left, and a scheme of two copies: nobody may notice.
        if call is not Call.CHECK_IDENTITY:
            self.rig.memories[0].faults.add(call, fault, after_count=after_count)

    @rule()
    def reap(self) -> None:
        self.rig.reap()

    @rule()
    def clean_up(self) -> None:
        self.rig.memories[0].land_late()
        self.rig.clean_up()

    @rule()
    def compact(self) -> None:
        self.rig.compact()

    @rule()
    def sweep_after_the_grace(self) -> None:
        self.rig.clock.pass_grace()
        self.rig.sweep()

    @rule()
    def restart(self) -> None:
        self.rig.restart()

    @rule()
    def crash(self) -> None:
        self.rig.crash()

    @rule()
    def recover(self) -> None:
        self.rig.memories[0].faults.clear()
        self.rig.memories[0].land_late()
        self.rig.recover_intents()

    @invariant()
    def every_remote_piece_is_named(self) -> None:
        assert self.rig.unaccounted() == set()

    def teardown(self) -> None:
        try:
            self.rig.memories[0].faults.clear()
            self.rig.memories[0].land_late()
            self.rig.crash()
            report = self.rig.settle()
            assert report.is_clean, report.findings
            assert self.rig.unaccounted() == set()
            found = {
                (bucket, key): self.rig.get(key, bucket=bucket)
                for bucket in (BUCKET, SEALED, SINGLE)
                for key in self.rig.keys(bucket=bucket)
            }
            assert found == self.contents
        finally:
            self.rig.close()
            shutil.rmtree(self.folder)

    def tried(self, bucket: BucketName, act: Callable[[], T]) -> T | None:
        """What it gave; null when the one copy's backend failed, during a body that nobody has twice, or at a read."""
        try:
            return act()
        except BackendsUnavailable:
            assert bucket == SINGLE
            return None

    def remember(self, place: Place, data: bytes, mark: str) -> None:
        self.contents[place] = data
        self.marks[place] = mark

    def forget(self, place: Place) -> None:
        self.contents.pop(place, None)
        self.marks.pop(place, None)


def raises(expected: type[Exception] | tuple[type[Exception], ...], act: Callable[[], object]) -> bool:
    try:
        act()
    except expected:
        return True
    return False


@pytest.mark.timeout(60 + 4 * EXAMPLE_COUNT)
@pytest.mark.parametrize("engine", ENGINES)
def test_the_object_api_does_what_a_dictionary_does(engine: str) -> None:
    with metadata_on(engine):
        run_model()


def run_model() -> None:
    run_state_machine_as_test(
        ObjectModel,
        settings=settings(
            max_examples=EXAMPLE_COUNT,
            stateful_step_count=STEP_COUNT,
            deadline=None,
            database=None,
            derandomize=not IS_LONG,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            # To shrink takes minutes; the long form does it.
            phases=[Phase.generate, Phase.shrink] if IS_LONG else [Phase.generate],
        ),
    )
