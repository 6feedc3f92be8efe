"""What clients ask of buckets through one process: counted in memory, told to the database about once a minute."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from engine.clock import Clock
from engine.errors import DatabaseUnavailable, OutcomeUnknown
from engine.metadata import bucket_usage
from engine.metadata.bucket_usage import NamedBucket
from engine.metadata.store import Store
from engine.records import ClientUse, UsageKind

WRITE_EVERY_S = 60.0
"""A process that dies takes what it counted since then along."""

BUCKET_COUNT_MAX = 4096
"""Names between two writes; what is asked of others is left out, and the log says so."""

BLOCK_COUNT = 200
"""Buckets of one transaction."""

_log = logging.getLogger("penstock.deployment")


@dataclass(slots=True)
class _Tally:
    """A ClientUse that grows: one is kept for each bucket, so that counting makes nothing new."""

    write_count: int = 0
    read_count: int = 0
    delete_count: int = 0
    content_count: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0

    @property
    def request_count(self) -> int:
        return self.write_count + self.read_count + self.delete_count

    def merge(self, other: "_Tally") -> None:
        self.write_count += other.write_count
        self.read_count += other.read_count
        self.delete_count += other.delete_count
        self.content_count += other.content_count
        self.received_bytes += other.received_bytes
        self.sent_bytes += other.sent_bytes

    def use(self) -> ClientUse:
        return ClientUse(
            write_request_count=self.write_count,
            read_request_count=self.read_count,
            delete_request_count=self.delete_count,
            content_request_count=self.content_count,
            egress_bytes=self.sent_bytes,
            ingress_bytes=self.received_bytes,
        )


class BucketUses:
    """`count` is for any thread; `tick` and `write` are for one.

    Names are looked up when they are written: one that is no bucket of the account's then, and was none at the write
    before, makes no row.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._now_s = clock.monotonic_s
        self._due_s = self._now_s() + WRITE_EVERY_S
        self._lock = threading.Lock()
        self._counted: dict[NamedBucket, _Tally] = {}
        self._left_out_count = 0
        # Which buckets these were at the last write: what is asked of one up to its end is told after its end.
        self._known: dict[NamedBucket, int] = {}

    def count(
        self,
        bucket: NamedBucket,
        kind: UsageKind,
        *,
        request_count: int,
        content_count: int,
        received_bytes: int,
        sent_bytes: int,
    ) -> None:
        """So many requests of one kind, of which `content_count` stored the content of an object or a part."""
        with self._lock:
            tally = self._counted.get(bucket)
            if tally is None:
                if len(self._counted) >= BUCKET_COUNT_MAX:
                    self._left_out_count += request_count
                    return
                tally = self._counted[bucket] = _Tally()
            if kind is UsageKind.READ_REQUESTS:
                tally.read_count += request_count
            elif kind is UsageKind.DELETE_REQUESTS:
                tally.delete_count += request_count
            else:
                tally.write_count += request_count
                tally.content_count += content_count
            tally.received_bytes += received_bytes
            tally.sent_bytes += sent_bytes

    def tick(self) -> None:
        """Write when it is time. Raises what the store raises; what was not written for certain is kept."""
        if self._now_s() >= self._due_s:
            self._due_s = self._now_s() + WRITE_EVERY_S
            self.write()

    def write(self) -> None:
        """Write what was counted, if anything. Raises as `tick`."""
        with self._lock:
            counted, self._counted = self._counted, {}
            left_out_count, self._left_out_count = self._left_out_count, 0
        if left_out_count:
            _log.warning("bucket_uses.left_out", extra={"request_count": left_out_count})
        names = sorted(counted)
        for start in range(0, len(names), BLOCK_COUNT):
            stop = start + BLOCK_COUNT
            try:
                self._write_block({name: counted[name].use() for name in names[start:stop]})
            except (DatabaseUnavailable, OutcomeUnknown) as error:
                # Of an unknown outcome the block may count already: it counts once, or not at all.
                kept = names[stop:] if isinstance(error, OutcomeUnknown) else names[start:]
                self._take_back({name: counted[name] for name in kept})
                raise

    def _take_back(self, counted: "Mapping[NamedBucket, _Tally]") -> None:
        with self._lock:
            for name, tally in counted.items():
                if name in self._counted:
                    self._counted[name].merge(tally)
                elif len(self._counted) < BUCKET_COUNT_MAX:
                    self._counted[name] = tally
                else:
                    self._left_out_count += tally.request_count

    def _write_block(self, counted: Mapping[NamedBucket, ClientUse]) -> None:
        known = {name: self._known.pop(name) for name in counted if name in self._known}
        there = self._store.write(partial(bucket_usage.add, counted=counted, known=known))
        if len(self._known) + len(there) > BUCKET_COUNT_MAX:
            self._known.clear()
        self._known |= there
