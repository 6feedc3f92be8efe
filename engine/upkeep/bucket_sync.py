"""Taking over what lies in a backend's bucket already: its keys are listed page by page and become versions in place.

No byte is moved. Every object is looked at before its version is made, so that the version says what the store says:
size, ETag, content headers, metadata, tags, age. What is a Penstock's own is passed over, what the bucket to fill has
already is left.
"""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Protocol

from engine.backends.copying import SourceFailed
from engine.backends.s3.listing import Entry
from engine.backends.s3.objects import FoundObject, NotReadable, ObjectsPage
from engine.clock import Ids
from engine.errors import (
    BackendError,
    BackendInState,
    BackendsUnavailable,
    BelowWriteQuorum,
    DigestMismatch,
    EngineError,
    InvalidKey,
    KeyTooLong,
    NoSpaceAnywhere,
    PieceMissing,
    PlacementRefused,
)
from engine.imported import ImportedObject
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.importing import BATCH_COUNT_MAX, Importable, Stand, import_objects, stand_of
from engine.metadata.store import Store, Tx
from engine.names import BackendName, ObjectKey, object_key
from engine.units import MIB
from engine.upkeep.long_work import Extent, Fence, Json, Step

SYNC_METHOD = "penstock.admin.v1.BackendService/SyncBackend"

LOOK_COUNT_MAX = 8
"""Objects looked at side by side."""

STORAGE_KEY_BYTES_MAX = 2000
"""Longer ones fit in no index of PostgreSQL: keys with many characters that are escaped."""

COPY_COUNT_MAX = 32
COPY_BYTES_MAX = 64 * MIB
"""Objects copied in one step, and their bytes; the first one may have more."""

WAIT_S = 1.0
WAIT_COUNT_MAX = 600
"""So many waits in a row for a store that is out of reach, then the sync has failed."""

_COLD_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects cannot be read before they are restored."""


class StoreObjects(Protocol):
    """The bucket that is taken over; see `engine.backends.s3.objects.BucketObjects`."""

    def is_ours(self, key: str) -> bool: ...

    def list(self, *, prefix: str, after: str, count_max: int) -> ObjectsPage: ...

    def find(self, key: str) -> FoundObject | None: ...


CopyIn = Callable[[Importable], Stand]
"""Stores an object as one of ours: FREE when it did, TAKEN when its key has a version.

Raises SourceFailed, DigestMismatch, LeaseLost, and what storing raises. See `engine.objects.importing`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncOrder:
    """What to take over into which bucket.

    `backend_ids` are all backends that lie in the same bucket of the store: what they know already is left. With
    `copies_in` nothing is taken over in place, and that concerns none of them.
    """

    backend: BackendName
    backend_id: int
    backend_ids: Collection[int]
    bucket: OwnBucket
    prefix: str = ""
    is_dry_run: bool = False
    copies_in: CopyIn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCursor:
    """Where a sync stands: the last key seen to, and what came of all before."""

    after: str = ""
    wait_count: int = 0
    imported_count: int = 0
    imported_bytes: int = 0
    existing_count: int = 0
    known_count: int = 0
    own_count: int = 0
    leaving_count: int = 0
    refused_count: int = 0

    def write(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    def result(self) -> dict[str, Json]:
        """What the operation answers in the end."""
        return {
            "imported_count": self.imported_count,
            "size_bytes": self.imported_bytes,
            "existing_count": self.existing_count,
            "known_count": self.known_count,
            "own_count": self.own_count,
            "leaving_count": self.leaving_count,
            "refused_count": self.refused_count,
        }


def read_sync_cursor(text: str | None) -> SyncCursor:
    return SyncCursor() if text is None else SyncCursor(**json.loads(text))


@dataclass(slots=True)
class _Page:
    """What becomes of a page of keys."""

    stands: Counter[Stand] = field(default_factory=Counter)
    own_count: int = 0
    imported_bytes: int = 0
    refused: list[str] = field(default_factory=list)


class BucketSync:
    """Implements `engine.upkeep.long_work.LongWork` for one backend; a step is one page of keys in one transaction.

    A step that is repeated finds what it made as known already.
    """

    def __init__(
        self,
        store: Store,
        objects: StoreObjects,
        order: SyncOrder,
        *,
        fence: Fence,
        ids: Ids,
        rest: Callable[[float], None] = time.sleep,
        page_count_max: int = BATCH_COUNT_MAX,
    ) -> None:
        self._store = store
        self._objects = objects
        self._order = order
        self._fence = fence
        self._ids = ids
        self._rest = rest
        self._page_count_max = page_count_max

    def measure(self) -> Extent:
        """How many keys there are shows at their end."""
        return Extent()

    def step(self, cursor: str | None, /) -> Step:
        """Take over the next keys. Raises NoSuchBucket, BackendInState, BucketQuotaExceeded, BackendsUnavailable."""
        position = read_sync_cursor(cursor)
        page = _Page()
        try:
            listed = self._objects.list(
                prefix=self._order.prefix, after=position.after, count_max=self._page_count_max
            )
            objects = self._unit(listed.objects)
            self._take(objects, page)
        except (BackendError, BackendsUnavailable, BelowWriteQuorum, NoSpaceAnywhere) as error:
            return self._wait(position, error)
        except SourceFailed as failure:
            return self._wait(position, failure.error)
        last = objects[-1].key if objects else position.after
        now = replace(
            position,
            after=last,
            wait_count=0,
            imported_count=position.imported_count + page.stands[Stand.FREE],
            imported_bytes=position.imported_bytes + page.imported_bytes,
            existing_count=position.existing_count + page.stands[Stand.TAKEN],
            known_count=position.known_count + page.stands[Stand.KNOWN],
            own_count=position.own_count + page.own_count,
            leaving_count=position.leaving_count + page.stands[Stand.LEAVING],
            refused_count=position.refused_count + len(page.refused),
        )
        is_last = not listed.has_more and len(objects) == len(listed.objects)
        return Step(
            cursor=now.write(),
            is_last=is_last,
            item_count=page.stands[Stand.FREE],
            failed_count=len(page.refused),
            moved_bytes=page.imported_bytes if self._is_copying else 0,
            stage=self._stage,
            current_item=last,
            warnings=tuple(page.refused),
            result=now.result() if is_last else None,
        )

    def cancelled(self) -> None:
        """What was taken over stays; the rest was never touched."""

    @property
    def _is_copying(self) -> bool:
        return self._order.copies_in is not None and not self._order.is_dry_run

    @property
    def _stage(self) -> str:
        if self._order.is_dry_run:
            return "counting"
        return "copying" if self._is_copying else "taking over"

    def _unit(self, listed: Sequence[Entry]) -> Sequence[Entry]:
        """As many of the first as one step may move."""
        if not self._is_copying:
            return listed
        sizes = itertools.accumulate(each.size_bytes for each in listed[:COPY_COUNT_MAX])
        count = sum(size_bytes <= COPY_BYTES_MAX for size_bytes in sizes)
        return listed[: max(1, count)]

    def _wait(self, position: SyncCursor, error: EngineError) -> Step:
        """The same page once more, a moment later."""
        if position.wait_count >= WAIT_COUNT_MAX:
            raise BackendsUnavailable(f"gave up after {WAIT_COUNT_MAX} waits: {error}") from error
        self._rest(WAIT_S)
        now = replace(position, wait_count=position.wait_count + 1)
        told = (f"waiting: {error}",) if position.wait_count == 0 else ()
        return Step(cursor=now.write(), is_last=False, stage="waiting", warnings=told)

    def _take(self, listed: Sequence[Entry], page: _Page) -> None:
        named = self._named(listed, page)
        stands = self._store.read(partial(self._stands, keys=[key for key, _ in named]))
        free = []
        for (key, each), stand in zip(named, stands, strict=True):
            if stand is Stand.FREE:
                free.append((key, each))
            else:
                page.stands[stand] += 1
        if self._order.is_dry_run:
            page.stands[Stand.FREE] += len(free)
            page.imported_bytes += sum(each.size_bytes for _, each in free)
            return
        seen = self._seen(free, page)
        if self._order.copies_in is None:
            self._import(seen, page)
        else:
            self._copy(seen, self._order.copies_in, page)

    def _copy(self, seen: Sequence[Importable], copy_in: CopyIn, page: _Page) -> None:
        """All of them are tried before the first failure is told."""

        def copy(each: Importable) -> Stand | str | None:
            try:
                return copy_in(each)
            except DigestMismatch:
                return "its bytes are not those of its ETag"
            except SourceFailed as failure:
                if isinstance(failure.error, PieceMissing):
                    # It went, or became another: whoever syncs next sees that one.
                    return None
                raise

        with ThreadPoolExecutor(LOOK_COUNT_MAX, thread_name_prefix="sync") as threads:
            futures = [threads.submit(copy, each) for each in seen]
        for each, future in zip(seen, futures, strict=True):
            outcome = future.result()
            if isinstance(outcome, str):
                page.refused.append(f"{each.key.decode()!r} stays: {outcome}")
            elif outcome is not None:
                page.stands[outcome] += 1
                page.imported_bytes += each.size_bytes if outcome is Stand.FREE else 0

    def _named(self, listed: Sequence[Entry], page: _Page) -> list[tuple[ObjectKey, Entry]]:
        """Those that could be objects here, under their names."""
        named = []
        for each in listed:
            if self._objects.is_ours(each.key):
                page.own_count += 1
                continue
            try:
                key = object_key(each.key.encode())
            except (InvalidKey, KeyTooLong) as error:
                page.refused.append(f"{each.key!r} stays: {error}")
                continue
            problem = _problem_of(each)
            if problem is not None:
                page.refused.append(f"{each.key!r} stays: {problem}")
                continue
            named.append((key, each))
        return named

    def _stands(self, tx: Tx, keys: Sequence[ObjectKey]) -> list[Stand]:
        order = self._order
        order.bucket.require(tx)
        return [stand_of(tx, order.bucket, key, backend_ids=order.backend_ids) for key in keys]

    def _seen(self, free: Sequence[tuple[ObjectKey, Entry]], page: _Page) -> list[Importable]:
        """Those that are there still, as they are now."""
        if not free:
            return []
        with ThreadPoolExecutor(LOOK_COUNT_MAX, thread_name_prefix="sync") as threads:
            looks = list(threads.map(self._look, [each.key for _, each in free]))
        seen = []
        for (key, _), look in zip(free, looks, strict=True):
            if isinstance(look, str):
                page.refused.append(f"{key.decode()!r} stays: {look}")
            elif look is not None:
                seen.append(
                    Importable(
                        key=key,
                        source=ImportedObject(key=look.key, etag=look.etag),
                        size_bytes=look.size_bytes,
                        modified_at_us=look.modified_at_us,
                        headers=look.headers,
                        is_etag_md5=look.is_etag_md5,
                    )
                )
        return seen

    def _look(self, key: str) -> FoundObject | str | None:
        """The object, why it cannot be had, or null when it is gone."""
        try:
            found = self._objects.find(key)
        except NotReadable as error:
            return str(error)
        if found is None:
            return None
        return _problem_of(found) or found

    def _import(self, seen: Sequence[Importable], page: _Page) -> None:
        if not seen:
            return
        order = self._order

        def unit(tx: Tx) -> list[Stand]:
            self._fence(tx)
            return import_objects(
                tx,
                order.bucket,
                seen,
                backend_id=order.backend_id,
                backend_ids=order.backend_ids,
                ids=self._ids,
            )

        try:
            stands = self._store.write(unit)
        except PlacementRefused as error:
            raise BackendInState(
                backend=order.backend,
                state="not active",
                hint="what it holds is taken over while it takes pieces",
            ) from error
        page.stands.update(stands)
        page.imported_bytes += sum(
            each.size_bytes for each, stand in zip(seen, stands, strict=True) if stand is Stand.FREE
        )


def _problem_of(each: Entry | FoundObject) -> str | None:
    """Why it cannot be taken over, for people; null when it can."""
    if isinstance(each, Entry) and each.storage_class in _COLD_CLASSES:
        return f"it lies in {each.storage_class} and cannot be read"
    if not each.etag or each.etag.startswith("W/"):
        return "its store names no ETag that reads could be guarded by"
    storage_key = ImportedObject(key=each.key, etag=each.etag).storage_key
    if len(storage_key.encode()) > STORAGE_KEY_BYTES_MAX:
        return "its key is too long to be named as a piece"
    return None
