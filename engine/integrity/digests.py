"""Digests of a body as it streams: the MD5 that is its ETag, and whatever else was asked for."""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from awscrt.checksums import crc32c, crc64nvme
from isal.isal_zlib import crc32

from engine.errors import DigestMismatch
from engine.streams import Checksum, ChecksumAlgorithm, DigestPlan, ExpectedDigests

Buffer = bytes | bytearray | memoryview


class RunningChecksum:
    """One additional checksum over a stream; `digest` is big-endian, as it goes over the wire in Base64."""

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self.algorithm = algorithm
        self._update: Callable[[Buffer], None]
        if algorithm is ChecksumAlgorithm.SHA1:
            self._hash = hashlib.sha1(usedforsecurity=False)
            self._update = self._hash.update
        elif algorithm is ChecksumAlgorithm.SHA256:
            self._hash = hashlib.sha256()
            self._update = self._hash.update
        else:
            self._crc = 0
            self._step, self._size_bytes = _CRCS[algorithm]
            self._update = self._update_crc

    def update(self, buffer: Buffer) -> None:
        self._update(buffer)

    @property
    def digest(self) -> bytes:
        if self.algorithm in _CRCS:
            return self._crc.to_bytes(self._size_bytes, "big")
        return self._hash.digest()

    def _update_crc(self, buffer: Buffer) -> None:
        self._crc = self._step(buffer, self._crc)


_CRCS: dict[ChecksumAlgorithm, tuple[Callable[[Buffer, int], int], int]] = {
    ChecksumAlgorithm.CRC32: (crc32, 4),
    ChecksumAlgorithm.CRC32C: (crc32c, 4),
    ChecksumAlgorithm.CRC64NVME: (crc64nvme, 8),
}


class BodyDigests:
    """All digests one body needs, updated together while its bytes are in the processor's cache. For one thread.

    MD5 takes most of the time and cannot be split. Handing SHA-256 to a second thread was measured: one lonely
    stream gains a third, two streams on two cores lose, so the threads are left to other bodies.
    """

    def __init__(self, plan: DigestPlan) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256() if plan.sha256 else None
        self._checksums = [RunningChecksum(algorithm) for algorithm in plan.checksums]

    def update(self, buffer: Buffer) -> None:
        self._md5.update(buffer)
        if self._sha256 is not None:
            self._sha256.update(buffer)
        for checksum in self._checksums:
            checksum.update(buffer)

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    def checksums(self) -> Sequence[Checksum]:
        return [Checksum(algorithm=each.algorithm, digest=each.digest) for each in self._checksums]

    def check(self, expected: ExpectedDigests) -> None:
        """Hold what the sender promised against what came; raises DigestMismatch.

        A promise that the plan did not foresee is a ValueError: passing it over would accept bytes unchecked.
        """
        if expected.md5 is not None:
            _compare("md5", expected.md5, self.md5)
        if expected.sha256 is not None:
            if self._sha256 is None:
                raise ValueError("a SHA-256 was promised that the plan does not compute")
            _compare("sha256", expected.sha256, self._sha256.digest())
        if expected.checksum is not None:
            algorithm = expected.checksum.algorithm
            computed = [each.digest for each in self._checksums if each.algorithm is algorithm]
            if not computed:
                raise ValueError(f"a {algorithm.value} was promised that the plan does not compute")
            _compare(algorithm.value, expected.checksum.digest, computed[0])


def _compare(what: str, expected: bytes, computed: bytes) -> None:
    if not hmac.compare_digest(expected, computed):
        raise DigestMismatch(what=what, expected=expected, computed=computed)
