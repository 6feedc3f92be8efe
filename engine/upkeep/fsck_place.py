"""How far a pass of fsck has come, as a value that whoever goes on with it begins at."""

from dataclasses import dataclass
from enum import Enum


class Part(Enum):
    """What a pass is at; in this order, `FILES` and `PIECES` for one backend after the other."""

    BLOBS = "blobs"
    FILES = "files"
    """The files of a backend of volumes, from bytes to rows."""
    PIECES = "pieces"
    """The locations of a backend, from rows to bytes; where it has volumes, those that lie in none of them."""
    BUCKETS = "buckets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Everything before it was looked at: up to `after`, or in the middle of that volume where there is an `offset`."""

    part: Part = Part.BLOBS
    backend_id: int = 0
    after: str = ""
    """The last blob or volume in hexadecimal, storage key, or name of a bucket."""
    offset: int = 0

    def on(self, backend_id: int) -> "Place | None":
        """Where to begin on a backend, which are looked at in the order of their ids; null behind it."""
        if self.part is Part.BLOBS or (self.part is not Part.BUCKETS and self.backend_id < backend_id):
            return Place(part=Part.FILES, backend_id=backend_id)
        if self.part is Part.BUCKETS or self.backend_id > backend_id:
            return None
        return self
