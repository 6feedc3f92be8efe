"""The ledger of volume files, kept as rows of the metadata."""

from functools import partial

from engine.metadata.store import Store
from engine.metadata.volumes import volume_closed, volume_opened


class StoredVolumeLedger:
    """Implements `engine.backends.volume.ledger.VolumeLedger` for one backend and one process."""

    def __init__(self, store: Store, *, backend_id: int, process_id: bytes) -> None:
        self._store = store
        self._backend_id = backend_id
        self._process_id = process_id

    def opened(self, volume_id: bytes, /) -> bool:
        """False when the row says that the file takes no more appends. Raises DatabaseUnavailable, OutcomeUnknown."""
        return self._store.write(
            partial(
                volume_opened,
                volume_id=volume_id,
                backend_id=self._backend_id,
                owner_process=self._process_id,
            ),
            holds_locks=True,
        )

    def closed(self, volume_id: bytes, size_bytes: int, /) -> None:
        """Raises DatabaseUnavailable, OutcomeUnknown; repeating it is safe."""
        self._store.write(
            partial(volume_closed, volume_id=volume_id, size_bytes=size_bytes), holds_locks=True
        )
