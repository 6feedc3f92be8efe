"""What a bucket, or else the deployment, says about how its objects are stored."""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.records import Bucket, Scheme, Sealing
from engine.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class StoragePolicy:
    """Settings of the generation that requests run on. Sizes in bytes.

    `write_quorum` null asks for every piece. A body of at most `inline_buffer_bytes` is held in memory.
    """

    default_scheme: Scheme
    default_seal: Sealing
    chunk_bytes: int = 64 * MIB
    inline_buffer_bytes: int = MIB
    write_quorum: int | None = None

    def scheme_of(self, bucket: Bucket) -> Scheme:
        return bucket.scheme or self.default_scheme

    def is_sealed(self, bucket: Bucket) -> bool:
        return (bucket.seal or self.default_seal) is Sealing.ALL

    def is_held(self, size_bytes: int) -> bool:
        """Whether a body of that size is read into memory whole, and stored as one blob."""
        return size_bytes <= min(self.inline_buffer_bytes, self.chunk_bytes)

    def blob_sizes(self, size_bytes: int) -> Iterator[int]:
        """Sizes of the blobs a body is cut into, in order; none for an empty body."""
        for start in range(0, size_bytes, self.chunk_bytes):
            yield min(self.chunk_bytes, size_bytes - start)
