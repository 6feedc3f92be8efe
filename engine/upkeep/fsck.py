"""Comparing the metadata with the bytes, both ways, without changing either.

Meant for a deployment at rest. On a running one a finding may be about a piece that moved while it was looked at; such
findings are asked about once more before they are reported.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from engine.backends.base import Backend
from engine.errors import BackendError, EngineError, Overloaded, PieceCorrupt, PieceMissing
from engine.integrity.blocks import block_crc_matches
from engine.metadata import facts
from engine.metadata.buckets import list_buckets
from engine.metadata.quota import backend_subject, bucket_subject, read_quota
from engine.metadata.references import is_referenced
from engine.metadata.store import Store, Tx
from engine.metadata.versions import find_blob, read_locations
from engine.records import Blob, Bucket, Location, LocationState
from engine.units import BLOCK_BYTES
from engine.upkeep.compaction import CompactableBackend
from engine.upkeep.fsck_place import Part, Place
from engine.upkeep.fsck_report import FsckReport, FsckTally, Problem
from engine.upkeep.fsck_volumes import VolumeCheck
from engine.upkeep.piece_check import BeforeBytes, CardReader

PAGE_COUNT_MAX = 500
BEGINNING = Place()


class Fsck:
    """One pass over everything (`run`). It reads only."""

    def __init__(
        self,
        store: Store,
        backends: Sequence[Backend],
        *,
        volumes: Sequence[CompactableBackend],
        cards: CardReader | None = None,
        verify_payloads: bool = True,
        before_bytes: BeforeBytes = lambda size_bytes: None,
    ) -> None:
        """`volumes` are those of `backends` that lie in files; without `cards` they are not opened.

        `before_bytes` is told how many bytes are about to be read.
        """
        self._store = store
        self._backends = sorted(backends, key=lambda each: each.backend_id)
        self._volumes = {backend.backend_id: backend for backend in volumes}
        self._cards = cards
        self._verify_payloads = verify_payloads
        self._before_bytes = before_bytes

    def run(self) -> FsckReport:
        """Rows to bytes, bytes to rows, references, counters. Raises DatabaseUnavailable."""
        tally = FsckTally()
        for _ in self.walk(tally):
            pass
        return tally.report()

    def walk(self, tally: FsckTally, place: Place = BEGINNING) -> Iterator[tuple[Place, str]]:
        """The same a bounded piece at a time, from `place` on, with what `tally` held there.

        After each piece: how far it is, and what is being looked at. Raises DatabaseUnavailable.
        """
        if place.part is Part.BLOBS:
            yield from self._check_blobs(tally, place)
        for backend in self._backends:
            begin = place.on(backend.backend_id)
            if begin is None:
                continue
            try:
                backend.check_identity()
                volumes = self._volumes.get(backend.backend_id)
                if volumes is None:
                    yield from self._check_pieces(backend, tally, begin)
                else:
                    yield from self._check_volumes(volumes, tally, begin)
            except BackendError as error:
                tally.find(Problem.BACKEND_UNREACHABLE, backend.name, str(error))
            self._check_counters(backend_subject(backend.backend_id), backend.backend_id, tally)
        for bucket in self._buckets(place.after if place.part is Part.BUCKETS else ""):
            self._check_bucket(bucket, tally)
            yield Place(part=Part.BUCKETS, after=bucket.name), f"bucket {bucket.name}"
        for version_seq in self._store.read(
            partial(facts.versions_with_wrong_size, count_max=PAGE_COUNT_MAX)
        ):
            tally.find(Problem.VERSION_SIZE, f"version {version_seq}")

    def _check_blobs(self, tally: FsckTally, place: Place) -> Iterator[tuple[Place, str]]:
        after = bytes.fromhex(place.after)
        while True:
            page = self._store.read(partial(facts.list_blobs, after=after, count_max=PAGE_COUNT_MAX))
            if not page:
                return
            for blob in page:
                tally.blob_count += 1
                self._check_blob(blob, tally)
            after = page[-1].blob_id
            yield Place(after=after.hex()), "blobs"

    def _check_blob(self, blob: Blob, tally: FsckTally) -> None:
        locations = self._store.read(partial(read_locations, blob_id=blob.blob_id))
        trusted_count = sum(location.state is LocationState.LIVE for location in locations)
        if trusted_count < blob.scheme.count and self._store.read(partial(find_blob, blob_id=blob.blob_id)):
            tally.find(
                Problem.PIECES_MISSING,
                f"blob {blob.blob_id.hex()}",
                f"{trusted_count} of {blob.scheme} stand",
            )
        if not self._store.read(partial(is_referenced, blob_id=blob.blob_id)) and self._store.read(
            partial(find_blob, blob_id=blob.blob_id)
        ):
            tally.find(Problem.BLOB_LEAKED, f"blob {blob.blob_id.hex()}")

    def _check_volumes(
        self, backend: CompactableBackend, tally: FsckTally, place: Place
    ) -> Iterator[tuple[Place, str]]:
        yield from VolumeCheck(
            self._store,
            backend,
            tally,
            check_card=self._check_card,
            verify_payloads=self._verify_payloads,
            before_bytes=self._before_bytes,
        ).walk(place)

    def _check_pieces(self, backend: Backend, tally: FsckTally, place: Place) -> Iterator[tuple[Place, str]]:
        """Rows to bytes on a backend that cannot be listed: every piece is read."""
        after = place.after
        while True:
            page = self._store.read(
                partial(
                    facts.list_locations,
                    backend_id=backend.backend_id,
                    after=after,
                    count_max=PAGE_COUNT_MAX,
                )
            )
            if not page:
                return
            for location in page:
                tally.location_count += 1
                tally.suspect_count += location.state is not LocationState.LIVE
                after = location.storage_key
                blob = self._store.read(partial(find_blob, blob_id=location.blob_id))
                if blob is not None and blob.has_checksums and self._verify_payloads:
                    self._check_piece(backend, location, blob, tally)
                    yield _pieces_up_to(backend, after)
            yield _pieces_up_to(backend, after)

    def _check_piece(self, backend: Backend, location: Location, blob: Blob, tally: FsckTally) -> None:
        self._before_bytes(blob.stored_bytes)
        try:
            bad = _first_bad_block(backend, location, blob)
        except PieceMissing:
            tally.find(Problem.RECORD_MISSING, location.storage_key, backend.name)
        except (PieceCorrupt, Overloaded) as error:
            tally.find(Problem.RECORD_DAMAGED, location.storage_key, str(error))
        else:
            tally.verified_bytes += blob.stored_bytes
            if bad is not None:
                tally.find(Problem.BLOCK_DAMAGED, location.storage_key, f"block {bad}")

    def _check_card(self, card: bytes, location: Location, tally: FsckTally) -> None:
        if self._cards is None:
            return
        tally.card_count += 1
        try:
            blob_id = self._cards.blob_id(card, location)
        except (EngineError, ValueError) as error:
            tally.find(Problem.CARD_DAMAGED, location.storage_key, str(error))
            return
        if blob_id != location.blob_id:
            tally.find(Problem.CARD_DAMAGED, location.storage_key, f"it describes blob {blob_id.hex()}")

    def _check_counters(self, subject: str, backend_id: int, tally: FsckTally) -> None:
        self._compare(subject, partial(facts.backend_truth, backend_id=backend_id), tally)

    def _check_bucket(self, bucket: Bucket, tally: FsckTally) -> None:
        truth_of = partial(facts.bucket_truth, bucket_id=bucket.bucket_id)
        self._compare(bucket_subject(bucket.bucket_id), truth_of, tally)

    def _compare(self, subject: str, truth_of: Callable[[Tx], facts.TrueTotals], tally: FsckTally) -> None:
        # On one snapshot: on a running deployment both change all the time.
        told, truth = self._store.read(lambda tx: (read_quota(tx, subject), truth_of(tx)))
        if told is None:
            # A bucket that was deleted since it was listed has taken its account with it, and its rows.
            if truth.object_count or subject.startswith("backend:"):
                tally.find(Problem.COUNTER, subject, "there is no account")
            return
        counted = (told.used_bytes, told.orphan_bytes, told.object_count)
        if counted != (truth.used_bytes, truth.orphan_bytes, truth.object_count):
            tally.find(
                Problem.COUNTER,
                subject,
                f"used, orphan bytes and objects are {counted} and should be "
                f"{(truth.used_bytes, truth.orphan_bytes, truth.object_count)}",
            )

    def _buckets(self, after: str) -> Iterator[Bucket]:
        while True:
            page = self._store.read(
                partial(list_buckets, account_id=None, after=after, count_max=PAGE_COUNT_MAX)
            )
            if not page:
                return
            yield from page
            after = page[-1].name


def _pieces_up_to(backend: Backend, after: str) -> tuple[Place, str]:
    return Place(part=Part.PIECES, backend_id=backend.backend_id, after=after), f"backend {backend.name}"


def _first_bad_block(backend: Backend, location: Location, blob: Blob) -> int | None:
    reader = backend.open_reader(location.storage_key, blob.stored_bytes)
    try:
        buffer = memoryview(bytearray(min(BLOCK_BYTES, blob.stored_bytes)))
        for number, start in enumerate(range(0, blob.stored_bytes, BLOCK_BYTES)):
            block = buffer[: min(BLOCK_BYTES, blob.stored_bytes - start)]
            reader.read_into(start, block)
            if not block_crc_matches(blob.block_crcs, number, block):
                return number
    finally:
        reader.close()
    return None
