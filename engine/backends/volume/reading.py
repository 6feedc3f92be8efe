"""Reading a piece of a volume: whole buffers by preadv, or the place in the file for sendfile."""

import errno
import os

from engine.backends.volume.descriptors import Descriptor, DescriptorCache
from engine.errors import BackendUnavailable, PieceCorrupt
from engine.names import BackendName
from engine.pipes import Pipe
from engine.streams import FileRegion, WouldBlock
from engine.units import KIB, MIB

TAKEN_BYTES_MIN = 32 * KIB
"""Less is read into memory also where nobody checks it: a small answer leaves in one call."""

TAKEN_BYTES_MAX = MIB
"""A region of a file that nobody reads ahead of its sending."""

# What RWF_NOWAIT answers when the bytes are not in memory, or when the file system cannot tell.
_NOT_NOW = (errno.EAGAIN, errno.EOPNOTSUPP)


class VolumePieceReader:
    """An open piece: pins its file's descriptor until closed. Bytes are not verified here."""

    __slots__ = ("_backend", "_descriptor", "_descriptors", "_is_closed", "_payload_bytes", "_start")

    def __init__(
        self,
        *,
        backend: BackendName,
        descriptors: DescriptorCache,
        descriptor: Descriptor,
        payload_start: int,
        payload_bytes: int,
    ) -> None:
        self._backend = backend
        self._descriptors = descriptors
        self._descriptor = descriptor
        self._start = payload_start
        self._payload_bytes = payload_bytes
        self._is_closed = False

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        """Fill the whole buffer from payload byte `offset`.

        Raises PieceCorrupt (short), BackendUnavailable, WouldBlock with nowait.
        """
        self._check_span(offset, len(buffer))
        position, flags = self._start + offset, os.RWF_NOWAIT if nowait else 0
        while True:
            try:
                count = os.preadv(self._descriptor.fd, [buffer], position, flags)
            except OSError as error:
                if nowait and error.errno in _NOT_NOW:
                    raise WouldBlock from None
                raise BackendUnavailable(
                    f"reading failed: {error.strerror}", backend=self._backend
                ) from error
            if count == len(buffer):
                return
            if nowait:
                raise WouldBlock
            if count == 0:
                raise PieceCorrupt("the file ends within the piece", backend=self._backend)
            buffer, position = buffer[count:], position + count

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return True

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        """Nothing to ask: the file is here."""

    def take(
        self, offset: int, length: int, /, *, pipe: Pipe | None = None, nowait: bool = False
    ) -> FileRegion | None:
        """Where those bytes lie, or null for few; that the disk gives them shows when they are sent.

        Raises PieceCorrupt where the file ends before them, BackendUnavailable, WouldBlock with nowait.
        """
        if length <= TAKEN_BYTES_MIN:
            return None
        length = min(length, TAKEN_BYTES_MAX)
        self._check_span(offset, length)
        region = FileRegion(fd=self._descriptor.fd, offset=self._start + offset, length=length, is_read=False)
        if nowait:
            if not region.is_in_memory():
                raise WouldBlock
            return region
        try:
            file_bytes = os.fstat(region.fd).st_size
        except OSError as error:
            raise BackendUnavailable(f"reading failed: {error.strerror}", backend=self._backend) from error
        if file_bytes < region.offset + length:
            raise PieceCorrupt("the file ends within the piece", backend=self._backend)
        return region

    def region(self, offset: int, length: int, /) -> FileRegion:
        """Where those payload bytes lie; the descriptor stays open until the reader is closed."""
        self._check_span(offset, length)
        return FileRegion(fd=self._descriptor.fd, offset=self._start + offset, length=length)

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._descriptors.unpin(self._descriptor)

    def _check_span(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self._payload_bytes:
            raise ValueError(f"bytes {offset} to {offset + length} of a payload of {self._payload_bytes}")
