"""What a volume backend needs of the metadata: who owns which file."""

from typing import Protocol


class VolumeLedger(Protocol):
    """Rows of volume files. Both calls commit durably and raise what a store's `write` raises."""

    def opened(self, volume_id: bytes, /) -> bool:
        """This process is about to append to the file, new or taken over.

        False when the file takes no more appends (closed, compacting or gone): the caller leaves it alone.
        """

    def closed(self, volume_id: bytes, size_bytes: int, /) -> None:
        """The file takes no more appends; all that were made are settled. Repeating it is safe."""
