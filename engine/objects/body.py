"""A body on its way in: read once, whole buffers at a time, digested as it passes."""

from collections.abc import Sequence
from dataclasses import replace

from engine.errors import BodySizeMismatch
from engine.integrity.digests import BodyDigests
from engine.streams import BodySource, Checksum, ChecksumAlgorithm


class BodyPump:
    """Fills buffers from a body and digests what went by. For one thread."""

    def __init__(self, body: BodySource, *, also: Sequence[ChecksumAlgorithm] = ()) -> None:
        """`also` are checksums wanted beyond the body's own plan."""
        self._body = body
        missing = [each for each in also if each not in body.plan.checksums]
        plan = replace(body.plan, checksums=(*body.plan.checksums, *missing)) if missing else body.plan
        self._digests = BodyDigests(plan)
        self._received_bytes = 0

    def fill(self, buffer: memoryview) -> None:
        """Fill the whole buffer; raises BodySizeMismatch when the body ends before, and what the wire found."""
        position, size_bytes = 0, len(buffer)
        readinto = self._body.readinto
        while position < size_bytes:
            count = readinto(buffer[position:] if position else buffer)
            if count == 0:
                raise BodySizeMismatch(
                    expected_bytes=self._body.size_bytes, received_bytes=self._received_bytes + position
                )
            position += count
        self._received_bytes += size_bytes
        self._digests.update(buffer)

    def finish(self) -> None:
        """Hear what the sender promised and hold the bytes against it; raises DigestMismatch."""
        self._digests.check(self._body.finish())

    @property
    def md5(self) -> bytes:
        """Of all bytes so far; it is the ETag."""
        return self._digests.md5

    @property
    def checksums(self) -> Sequence[Checksum]:
        """The additional checksums the plan asked for, over all bytes so far."""
        return self._digests.checksums()
