"""A backend around another one, which hands on whatever it does not change."""

from typing import cast

from engine.backends.base import (
    Backend,
    ListedBackend,
    ListedPage,
    PieceReader,
    PieceTail,
    PieceWriter,
    StoredPiece,
)
from engine.names import BackendName


class Layer:
    """Base of layers (`engine.backends.base.Backend`)."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    @property
    def backend_id(self) -> int:
        return self.inner.backend_id

    @property
    def name(self) -> BackendName:
        return self.inner.name

    @property
    def needs_intents(self) -> bool:
        return self.inner.needs_intents

    def occupied_bytes(self, payload_bytes: int, card_bytes: int, /) -> int:
        return self.inner.occupied_bytes(payload_bytes, card_bytes)

    def store(
        self,
        payload: memoryview,
        tail: PieceTail,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> StoredPiece:
        return self.inner.store(payload, tail, storage_key=storage_key, patience_s=patience_s)

    def open_writer(
        self,
        payload_bytes: int,
        card_bytes_max: int,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> PieceWriter:
        return self.inner.open_writer(
            payload_bytes, card_bytes_max, storage_key=storage_key, patience_s=patience_s
        )

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        return self.inner.open_reader(storage_key, payload_bytes, is_last_choice=is_last_choice)

    def read_tail(self, storage_key: str, payload_bytes: int, /) -> PieceTail:
        return self.inner.read_tail(storage_key, payload_bytes)

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        return self.inner.verify_in_place(storage_key, payload_bytes, block_crcs)

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        self.inner.delete(storage_key, stored_bytes)

    def check_identity(self) -> None:
        self.inner.check_identity()

    def remove_identity(self) -> None:
        self.inner.remove_identity()

    def close(self) -> None:
        self.inner.close()

    # Only around a store that can be listed: `engine.backends.registry.listed_in` knows.

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        return self._listed.list_objects(token, after=after)

    def object_bytes(self, storage_key: str, /) -> int:
        return self._listed.object_bytes(storage_key)

    def read_card(self, storage_key: str, object_bytes: int, /) -> bytes:
        return self._listed.read_card(storage_key, object_bytes)

    @property
    def _listed(self) -> ListedBackend:
        return cast(ListedBackend, self.inner)


def innermost(backend: Backend) -> Backend:
    """The store itself, whatever layers stand around it: for what only one kind of store can be asked."""
    while isinstance(backend, Layer):
        backend = backend.inner
    return backend
