"""Storing one blob: digests, sealing and pieces on as many backends as its scheme asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from blake3 import blake3

from engine.backends.base import PieceTail, StoredPiece
from engine.backends.copying import SourceFailed, copy_piece
from engine.clock import Ids
from engine.errors import (
    BackendError,
    BackendsUnavailable,
    BelowWriteQuorum,
    EngineError,
    NoSpaceAnywhere,
    PieceCorrupt,
    PieceMissing,
)
from engine.integrity.blocks import BlockChecksums, block_crcs
from engine.metadata.intents import Intent
from engine.objects.attempts import Announcements, Attempts
from engine.objects.blob_draft import BlobDraft, Standing
from engine.objects.body import BodyPump
from engine.objects.buffers import BlockPool
from engine.objects.cards import CardHint, Cards
from engine.objects.degradations import Degradation, Degradations
from engine.objects.intents import IntentHolder
from engine.objects.piece_streams import PieceStreams
from engine.objects.placing import Place, Placer
from engine.objects.side_by_side import SideBySide
from engine.placement.health import HealthBoard
from engine.placement.replication import piece_count, quorum_count
from engine.records import Blob, Scheme
from engine.sealing.envelope import Envelope, seal_blob
from engine.sealing.frames import FrameSealer, sealed_bytes
from engine.sealing.keyring import KeyRing
from engine.units import BLOCK_BYTES, FRAME_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobOrder:
    """How a blob is to be stored, and whose it is first."""

    scheme: Scheme
    is_sealed: bool
    hint: CardHint


class BlobWriter:
    """Writes blobs whose pieces stand when it returns; a commit still has to name them. Safe for many threads."""

    def __init__(
        self,
        *,
        placer: Placer,
        holder: IntentHolder,
        health: HealthBoard,
        degradations: Degradations,
        ring: KeyRing,
        cards: Cards,
        pool: BlockPool,
        ids: Ids,
        write_quorum: int | None,
    ) -> None:
        self._placer = placer
        self._holder = holder
        self._health = health
        self._degradations = degradations
        self._ring = ring
        self._cards = cards
        self._pool = pool
        self._ids = ids
        self._write_quorum = write_quorum

    def write_held(self, order: BlobOrder, plain: memoryview, announcements: Announcements) -> BlobDraft:
        """Store a blob held in memory: a backend that fails is replaced by another.

        Raises NotEnoughDomains, BackendsUnavailable, BelowWriteQuorum, NoSpaceAnywhere.
        """
        blob_id = self._ids()
        envelope, sealer = self._seal(order, blob_id, len(plain))
        payload = plain
        if sealer is not None:
            payload = _seal_frames(sealer, plain, memoryview(bytearray(sealed_bytes(len(plain)))))
        attempts = self._attempts(order, blob_id, len(payload), announcements)
        places = attempts.first(piece_count(order.scheme), self._quorum(order.scheme))
        content_hash = blake3(plain).digest()
        blob = _blob(order, blob_id, len(plain), envelope, content_hash, block_crcs(payload))
        draft = self._draft(order, blob, attempts, payload)
        self._try_store(draft, dict(enumerate(places)), payload)
        self.restore(draft)
        return draft

    def write_stream(
        self, order: BlobOrder, size_bytes: int, pump: BodyPump, announcements: Announcements
    ) -> BlobDraft:
        """Store the next `size_bytes` of a body as one blob, through two buffers whatever its size.

        A piece that fails on the way is copied from one that stands. Raises as `write_held` does, and what the body
        raises; then nothing of the blob stands but strays and dead space.
        """
        blob_id = self._ids()
        envelope, sealer = self._seal(order, blob_id, size_bytes)
        stored_bytes = size_bytes if sealer is None else sealed_bytes(size_bytes)
        attempts = self._attempts(order, blob_id, stored_bytes, announcements)
        streams = PieceStreams(
            attempts,
            payload_bytes=stored_bytes,
            card_bytes=self._cards.size_bytes(order.hint, is_sealed=order.is_sealed),
            count=piece_count(order.scheme),
            quorum_count=self._quorum(order.scheme),
        )
        try:
            content_hash, crcs = self._pour(size_bytes, sealer, pump, streams)
            blob = _blob(order, blob_id, size_bytes, envelope, content_hash, crcs)
            draft = self._draft(order, blob, attempts, None)
            streams.finish(draft)
        finally:
            streams.abort()
        self.restore(draft)
        return draft

    def restore(self, draft: BlobDraft, readable: Sequence[Standing] = ()) -> None:
        """Make up for missing pieces, from memory or from those that stand, on other backends.

        `readable` are pieces that must not be named but can still be copied from. With fewer pieces than the scheme
        asks for the blob may pass, never with fewer than the quorum: BelowWriteQuorum, or why not a single one stands.
        """
        # A piece may turn out to be lost while others are copied from it, and is missing then as well.
        while missing := draft.missing():
            try:
                self._restore_one(draft, missing[0], readable)
            except (BackendsUnavailable, NoSpaceAnywhere) as error:
                self._accept_or_raise(draft, error)
                return

    def _restore_one(self, draft: BlobDraft, index: int, readable: Sequence[Standing]) -> None:
        while True:
            place = draft.attempts.another(draft.taken_domains())
            if draft.payload is not None:
                if self._try_store(draft, {index: place}, draft.payload):
                    return
            elif self._try_copy(draft, index, place, readable):
                return

    def _accept_or_raise(self, draft: BlobDraft, error: EngineError) -> None:
        standing_count, wanted_count = len(draft.standing()), self._quorum(draft.blob.scheme)
        if standing_count >= wanted_count:
            self._degradations.note(
                Degradation.BELOW_SCHEME, blob_id=draft.blob.blob_id.hex(), standing_count=standing_count
            )
            return
        if standing_count == 0 or isinstance(error, NoSpaceAnywhere):
            raise error
        raise BelowWriteQuorum(standing_count=standing_count, quorum_count=wanted_count) from error

    def _try_store(self, draft: BlobDraft, places: Mapping[int, Place], payload: memoryview) -> bool:
        """Store the pieces of those indexes, on remote stores side by side; whether all stand."""
        intents = {index: draft.attempts.announce(place.backend) for index, place in places.items()}
        patience_s = None
        if any(place.backend.needs_intents for place in places.values()):
            domains = {place.failure_domain for place in places.values()}
            patience_s = draft.attempts.patience_s(draft.taken_domains() | domains)
        calls = [
            (
                place.backend,
                partial(self._store, place, intents[index], payload, draft.tail(index), patience_s),
            )
            for index, place in places.items()
        ]
        with SideBySide() as side_by_side:
            outcomes = side_by_side.run(calls)
        for (index, place), outcome in zip(places.items(), outcomes, strict=True):
            if isinstance(outcome, BackendError):
                draft.attempts.refused(place.backend, outcome)
                continue
            draft.attempts.went_well(place.backend)
            draft.put(index, Standing(place=place, piece=outcome, intent=intents[index]))
        return all(not isinstance(outcome, BackendError) for outcome in outcomes)

    def _store(
        self,
        place: Place,
        intent: Intent | None,
        payload: memoryview,
        tail: PieceTail,
        patience_s: float | None,
    ) -> StoredPiece:
        key = None if intent is None else intent.storage_key
        return place.backend.store(payload, tail, storage_key=key, patience_s=patience_s)

    def _try_copy(self, draft: BlobDraft, index: int, place: Place, readable: Sequence[Standing]) -> bool:
        sources = [*draft.standing(), *((None, standing) for standing in readable)]
        for source_index, source in sources:
            intent = draft.attempts.announce(place.backend)
            buffer = self._pool.take()
            try:
                piece: StoredPiece = copy_piece(
                    source.place.backend,
                    source.piece.storage_key,
                    place.backend,
                    target_key=None if intent is None else intent.storage_key,
                    payload_bytes=draft.blob.stored_bytes,
                    tail=draft.tail(index),
                    buffer=buffer,
                )
            except SourceFailed as failure:
                if source_index is not None and isinstance(failure.error, PieceCorrupt | PieceMissing):
                    # Whatever its backend answered at the end: it does not stand, and no row may name it.
                    draft.drop(source_index)
                    draft.attempts.lost_piece(source.place.backend)
                continue
            except BackendError as error:
                draft.attempts.refused(place.backend, error)
                return False
            finally:
                self._pool.give_back(buffer)
            draft.put(index, Standing(place=place, piece=piece, intent=intent))
            self._degradations.note(
                Degradation.PIECE_COPIED, blob_id=draft.blob.blob_id.hex(), backend=place.backend.name
            )
            return True
        raise BackendsUnavailable("no piece of the blob can be read back")

    def _pour(
        self, size_bytes: int, sealer: FrameSealer | None, pump: BodyPump, streams: PieceStreams
    ) -> tuple[bytes, bytes]:
        """Content hash and block checksums of what went through."""
        content, crcs = blake3(), BlockChecksums()
        buffer = self._pool.take()
        sealed = memoryview(bytearray(sealed_bytes(BLOCK_BYTES) if sealer is not None else 0))
        try:
            for start in range(0, size_bytes, BLOCK_BYTES):
                plain = memoryview(buffer)[: min(BLOCK_BYTES, size_bytes - start)]
                pump.fill(plain)
                content.update(plain)
                payload = plain if sealer is None else _seal_frames(sealer, plain, sealed)
                crcs.update(payload)
                streams.write(payload)
        finally:
            self._pool.give_back(buffer)
        return content.digest(), crcs.finish()

    def _seal(
        self, order: BlobOrder, blob_id: bytes, size_bytes: int
    ) -> tuple[Envelope | None, FrameSealer | None]:
        return seal_blob(self._ring, blob_id, size_bytes) if order.is_sealed else (None, None)

    def _draft(
        self, order: BlobOrder, blob: Blob, attempts: Attempts, payload: memoryview | None
    ) -> BlobDraft:
        return BlobDraft(
            blob=blob,
            make_card=lambda index: self._cards.write(blob, index, order.hint),
            card_key_id=self._cards.key_id,
            attempts=attempts,
            payload=payload,
        )

    def _attempts(
        self, order: BlobOrder, blob_id: bytes, payload_bytes: int, announcements: Announcements
    ) -> Attempts:
        return Attempts(
            placer=self._placer,
            holder=self._holder,
            health=self._health,
            degradations=self._degradations,
            announcements=announcements,
            blob_id=blob_id,
            payload_bytes=payload_bytes,
            card_bytes=self._cards.size_bytes(order.hint, is_sealed=order.is_sealed),
        )

    def _quorum(self, scheme: Scheme) -> int:
        return quorum_count(scheme, self._write_quorum)


def _blob(
    order: BlobOrder,
    blob_id: bytes,
    size_bytes: int,
    envelope: Envelope | None,
    content_hash: bytes,
    crcs: bytes,
) -> Blob:
    return Blob(
        blob_id=blob_id,
        size_bytes=size_bytes,
        stored_bytes=size_bytes if envelope is None else sealed_bytes(size_bytes),
        content_hash=content_hash,
        dedup_domain=None,
        scheme=order.scheme,
        key_id=None if envelope is None else envelope.key_id,
        wrapped_dek=None if envelope is None else envelope.wrapped_dek,
        frame_bytes=None if envelope is None else envelope.frame_bytes,
        block_crcs=crcs,
    )


def _seal_frames(sealer: FrameSealer, plain: memoryview, out: memoryview) -> memoryview:
    """Seal plaintext that begins at a frame into `out`; what of it was filled."""
    written = 0
    for start in range(0, len(plain), FRAME_BYTES):
        written += sealer.seal_into(plain[start : start + FRAME_BYTES], out[written:])
    return out[:written]
