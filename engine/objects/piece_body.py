"""A piece on its way in: what imported objects are rewritten and copied from."""

from collections.abc import Callable

from engine.backends.base import Backend, PieceReader
from engine.backends.copying import SourceFailed
from engine.errors import BackendError, BackendUnavailable, Overloaded
from engine.streams import DigestPlan, ExpectedDigests
from engine.units import BLOCK_BYTES


class PieceBody:
    """Implements `engine.streams.BodySource`; its owner closes it.

    What fails of it is told as SourceFailed, so that none of those that it is written to is blamed for it.
    """

    def __init__(
        self, reader: PieceReader, size_bytes: int, *, before_bytes: Callable[[int], None], md5: bytes | None
    ) -> None:
        self.size_bytes = size_bytes
        self.plan = DigestPlan()
        self._reader = reader
        self._before_bytes = before_bytes
        self._md5 = md5
        self._position = 0

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(buffer), BLOCK_BYTES, self.size_bytes - self._position)
        if count:
            self._before_bytes(count)
            try:
                self._reader.read_into(self._position, buffer[:count])
            except BackendError as error:
                raise SourceFailed(error) from error
            self._position += count
        return count

    def finish(self) -> ExpectedDigests:
        return ExpectedDigests(md5=self._md5)

    def close(self) -> None:
        self._reader.close()


def open_piece(
    backend: Backend,
    storage_key: str,
    size_bytes: int,
    *,
    before_bytes: Callable[[int], None],
    md5: bytes | None = None,
) -> PieceBody:
    """`before_bytes` is told of all that is about to be read, `md5` is what it has to have. Raises SourceFailed."""
    try:
        reader = backend.open_reader(storage_key, size_bytes)
    except BackendError as error:
        raise SourceFailed(error) from error
    except Overloaded as error:
        raise SourceFailed(BackendUnavailable(str(error), backend=backend.name)) from error
    return PieceBody(reader, size_bytes, before_bytes=before_bytes, md5=md5)
