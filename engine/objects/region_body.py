"""An object on its way out, taken in again as a body: what a streamed copy reads from."""

from engine.streams import Checksum, DigestPlan, ExpectedDigests, RegionSource


class RegionBody:
    """Implements `engine.streams.BodySource` over verified regions in memory; its owner closes it."""

    def __init__(self, regions: RegionSource, *, plan: DigestPlan, expected: Checksum | None) -> None:
        """`expected` is a checksum of the whole that the copy is held against once more."""
        self.size_bytes = regions.remaining_bytes
        self.plan = plan
        self._regions = regions
        self._expected = expected
        self._rest = memoryview(b"")

    def readinto(self, buffer: memoryview, /) -> int:
        """As many bytes as the current region holds; raises what reading the source raises."""
        if not self._rest:
            region = self._regions.next_region()
            if region is None:
                return 0
            assert isinstance(region, memoryview), "regions to copy are in memory"
            self._rest = region
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def finish(self) -> ExpectedDigests:
        return ExpectedDigests(checksum=self._expected)

    def close(self) -> None:
        self._regions.close()
