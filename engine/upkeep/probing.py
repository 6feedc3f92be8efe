"""Trying a backend step by step with a piece that nothing names and that is deleted at once."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from engine.backends.base import Backend, PieceTail, StoredPiece
from engine.clock import Clock, uuid7
from engine.errors import BackendError, EngineError, PieceCorrupt
from engine.integrity.blocks import block_crcs
from engine.metadata.intents import Intent
from engine.metadata.intents import settle as settle_intent
from engine.metadata.store import Store, Tx
from engine.metadata.strays import Stray, settle_strays
from engine.sealing.cards import Card, write_card
from engine.sealing.keyring import KeyRing
from engine.units import KIB
from engine.upkeep.long_work import Fence
from engine.upkeep.moved_pieces import Announcer

SCRATCH_BYTES = 64 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStep:
    """One thing that was tried; `error` is null when it went well."""

    name: str
    took_s: float
    error: str | None = None


def unfenced(tx: Tx) -> None:
    """Of a probe that somebody asked for, under no lease."""


class Probe:
    """Tries one backend, once."""

    def __init__(
        self,
        store: Store,
        backend: Backend,
        announcer: Announcer,
        clock: Clock,
        ring: KeyRing,
        *,
        size_bytes: int = SCRATCH_BYTES,
        fence: Fence = unfenced,
    ) -> None:
        """`ring` makes the card of the scratch piece: S3 backends bind what they store to a card's key.

        `fence` raises LeaseLost in its transaction.
        """
        self._ring = ring
        self._size_bytes = size_bytes
        self._fence = fence
        self._store = store
        self._backend = backend
        self._announcer = announcer
        self._clock = clock
        self.steps: list[ProbeStep] = []
        self.failure: EngineError | None = None

    def run(self, *, puts: bool) -> list[ProbeStep]:
        """The steps, of which the first that fails is the last. Raises what a write to the database raises."""
        if self._try("identity", self._backend.check_identity) and puts:
            self._put_get_delete()
        return self.steps

    def _put_get_delete(self) -> None:
        payload = os.urandom(self._size_bytes)
        tail = PieceTail(block_crcs=block_crcs(memoryview(payload)), card=self._card(len(payload)))
        intent = self._announcer.take(self._backend)
        key = None if intent is None else intent.storage_key
        pieces: list[StoredPiece] = []

        def put() -> None:
            pieces.append(self._backend.store(memoryview(payload), tail, storage_key=key))

        def sync() -> None:
            for piece in pieces:
                if piece.barrier is not None:
                    piece.barrier.sync()

        def get() -> None:
            _read_back(self._backend, pieces[0].storage_key, payload)

        def delete() -> None:
            self._backend.delete(pieces[0].storage_key, pieces[0].stored_bytes)

        try:
            for name, call in (("put", put), ("sync", sync), ("get", get), ("delete", delete)):
                if not self._try(name, call):
                    return
        finally:
            if intent is not None:
                size_bytes = self._backend.occupied_bytes(len(payload), len(tail.card))
                self._store.write(partial(self._settle, intent=intent, size_bytes=size_bytes))
                self._announcer.end([intent.intent_id])

    def _settle(self, tx: Tx, *, intent: Intent, size_bytes: int) -> None:
        self._fence(tx)
        if self.failure is None:
            # It was seen to come and to go: nothing is left to land later, and nobody waits to delete it again.
            settle_intent(tx, intent.intent_id)
        else:
            settle_strays(tx, [Stray(intent=intent, size_bytes=size_bytes)])

    def _card(self, size_bytes: int) -> bytes:
        card = Card(
            blob_id=uuid7(),
            piece_index=0,
            copy_count=1,
            size_bytes=size_bytes,
            stored_bytes=size_bytes,
            created_at_us=self._clock.now_us(),
        )
        return write_card(card, self._ring.primary, is_sealed=False)

    def _try(self, name: str, call: Callable[[], object]) -> bool:
        began_s = self._clock.monotonic_s()
        error: str | None = None
        try:
            call()
        except EngineError as failure:
            error, self.failure = str(failure), failure
        self.steps.append(ProbeStep(name=name, took_s=self._clock.monotonic_s() - began_s, error=error))
        return error is None


def _read_back(backend: Backend, storage_key: str, payload: bytes) -> None:
    buffer = bytearray(len(payload))
    reader = backend.open_reader(storage_key, len(payload))
    try:
        reader.read_into(0, memoryview(buffer))
    finally:
        reader.close()
    if buffer != payload:
        raise PieceCorrupt("what was read is not what was written", backend=backend.name)


def probe_missing(error: BackendError) -> list[ProbeStep]:
    """Of a backend that is not there to be tried."""
    return [ProbeStep(name="identity", took_s=0.0, error=str(error))]
