"""What the parts of moving say to each other: pieces, their copies, what a unit has gathered, and what became of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from engine.backends.base import Backend, Barrier
from engine.errors import BackendError
from engine.metadata.intents import Intent
from engine.metadata.moves import Copied, Movable
from engine.metadata.strays import Stray
from engine.records import Blob, Location
from engine.upkeep.long_work import Fence


class BackendRegistry(Protocol):
    """Where backends are found."""

    def get(self, backend_id: int, /) -> Backend:
        """Raises BackendUnavailable for one that this process does not know."""


class Announcer(Protocol):
    """Names pieces before they are written, where a backend needs that; see `engine.objects.intents.IntentHolder`."""

    def take(self, backend: Backend, /) -> Intent | None: ...

    def end(self, intent_ids: Iterable[bytes], /) -> None: ...

    def distrust(self) -> None: ...


class Chooser(Protocol):
    """Where a piece may go; see `engine.upkeep.targets.Targets`."""

    def choose(self, movable: Movable, *, card_bytes: int) -> Backend:
        """Raises NotEnoughDomains, NoSpaceAnywhere, BackendsUnavailable."""

    def refresh(self) -> None:
        """A commit has said that what is known of the backends is wrong."""

    def is_full(self, backend_id: int, /) -> None: ...

    def has_failed(self, backend: Backend, error: BackendError, /) -> None: ...


class Rewriter(Protocol):
    """Stores imported blobs as blobs of ours; see `engine.objects.rewriting.BlobRewriter`."""

    def rewrite(
        self,
        blob: Blob,
        location: Location,
        /,
        *,
        fence: Fence,
        before_bytes: Callable[[int], None],
        grace_us: int,
    ) -> bool:
        """False when no version is the blob any more: the reaper frees it.

        Raises SourceFailed, BackendsUnavailable, BelowWriteQuorum, NoSpaceAnywhere, LeaseLost, and what a write raises.
        """


class Why(Enum):
    """Why a piece stays where it is."""

    UNREADABLE = "no copy of it can be read whole"
    NO_DOMAIN = "no active backend is left in a failure domain without a piece of its blob"
    NO_ROOM = "no backend has room for it"
    AWAY = "a backend is out of reach"
    IMPORTED = (
        "it was imported, and its bytes are not known: draining its backend or healing the object rewrites it"
    )
    LEAVING = "no version is it any more, and it waits for the reaper"

    @property
    def may_pass(self) -> bool:
        """Whether waiting may help: what is out of reach comes back, and room is made by the cleanup."""
        return self in (Why.AWAY, Why.NO_ROOM, Why.LEAVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmoved:
    """A piece that stays, and what was the last thing in its way."""

    movable: Movable
    why: Why
    detail: str = ""

    def __str__(self) -> str:
        key, detail = self.movable.location.storage_key, f": {self.detail}" if self.detail else ""
        return f"piece {key} of blob {self.movable.location.blob_id.hex()} stays: {self.why.value}{detail}"


@dataclass(slots=True, kw_only=True)
class Moved:
    """What a unit did. `seen_count` pieces from the first on were seen to, the others were not come to."""

    seen_count: int = 0
    moved_count: int = 0
    moved_bytes: int = 0
    unmoved: list[Unmoved] = field(default_factory=list)

    @property
    def passing_count(self) -> int:
        """Pieces that stay for a reason which may pass."""
        return sum(each.why.may_pass for each in self.unmoved)


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceCopy:
    """A copy that stands at a backend, synced or behind its barrier, and that no row names yet."""

    movable: Movable
    copied: Copied
    barrier: Barrier | None
    backend: Backend


class Unit:
    """What is gathered on the way to one transaction. Announced pieces that no copy of it names are strays."""

    def __init__(self) -> None:
        self.copies: list[PieceCopy] = []
        self.damaged: list[Location] = []
        self.announced_ids: list[bytes] = []
        self._open: dict[bytes, Stray] = {}

    @property
    def is_empty(self) -> bool:
        return not (self.copies or self.damaged or self._open)

    def announce(self, intent: Intent | None, size_bytes: int) -> None:
        """A piece of up to that many bytes may stand from now on; null where nothing is announced."""
        if intent is not None:
            self.announced_ids.append(intent.intent_id)
            self._open[intent.intent_id] = Stray(intent=intent, size_bytes=size_bytes)

    def strays(self) -> list[Stray]:
        named = {copy.copied.intent_id for copy in self.copies}
        return [stray for intent_id, stray in self._open.items() if intent_id not in named]

    def settled(self) -> None:
        """It was committed: begin anew."""
        self.copies, self.damaged = [], []
        self._open.clear()
