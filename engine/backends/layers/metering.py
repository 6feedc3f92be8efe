"""Counts what is used of a backend, and makes no call that a month's limit does not allow.

What a call uses is spent before it is made. What it then did not use, and certainly not, is given back. A store behind
a network tells of its requests itself, one by one; of another one every call is a request, and a read that goes on
where the one before ended belongs to the same.
"""

from collections.abc import Mapping
from typing import Protocol

from engine.backends.base import Backend, ListedPage, PieceReader, PieceTail, PieceWriter, StoredPiece
from engine.backends.layers.layer import Layer
from engine.errors import BackendError, BackendOverLimit
from engine.pipes import Pipe
from engine.records import UsageKind
from engine.streams import FileRegion, Region, WouldBlock, region_bytes
from engine.units import KIB, MIB

IDENTITY_BYTES = KIB
"""More than an identity object has."""

CARD_BYTES_MAX = 4 * KIB
"""More than a card has."""

CARD_SPAN_BYTES_MAX = 80 * KIB
"""More than is read of a piece of which only its size is known."""

LISTING_BYTES = MIB
"""About what a page of a listing takes; what it took is counted afterwards."""

Amounts = Mapping[UsageKind, int]


class Meter(Protocol):
    """The account of one backend. Safe for many threads."""

    def spend(self, amounts: Amounts, /, *, nowait: bool = False) -> float:
        """Use so much, and say when that was.

        Raises BackendOverLimit, BackendUnavailable when nobody can tell what is left, WouldBlock.
        """

    def give_back(self, amounts: Amounts, /, *, spent_at_s: float) -> None:
        """What was spent then was not used."""

    def count(self, amounts: Amounts, /) -> None:
        """So much is used, whatever the limits say."""

    def before_request(self, kind: UsageKind, /) -> None:
        """A request of that class is about to be sent. Raises BackendOverLimit, BackendUnavailable as `spend`."""

    def may_probe(self) -> bool:
        """Whether it is time for a look at the backend that uses a request of its limit."""


class MeteredBackend(Layer):
    """A backend of whose use an account is kept. Deletions are counted and never refused."""

    def __init__(self, inner: Backend, meter: Meter, *, counts_requests: bool = True) -> None:
        """`counts_requests` false: the store within tells the meter of them."""
        super().__init__(inner)
        self._meter = meter
        self._request_count = int(counts_requests)
        self._was_proved = False

    def store(
        self,
        payload: memoryview,
        tail: PieceTail,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> StoredPiece:
        """Also raises BackendOverLimit."""
        spent_at_s = self._spend_write(len(payload), len(tail.card))
        try:
            return self.inner.store(payload, tail, storage_key=storage_key, patience_s=patience_s)
        except BackendOverLimit:
            unused_bytes = self.inner.occupied_bytes(len(payload), len(tail.card))
            self._meter.give_back({UsageKind.INGRESS_BYTES: unused_bytes}, spent_at_s=spent_at_s)
            raise

    def open_writer(
        self,
        payload_bytes: int,
        card_bytes_max: int,
        /,
        *,
        storage_key: str | None = None,
        patience_s: float | None = None,
    ) -> PieceWriter:
        """All of its bytes are spent here, so that no stream ends for want of them. Also raises BackendOverLimit."""
        spent_at_s = self._spend_write(payload_bytes, card_bytes_max)
        spent_bytes = self.inner.occupied_bytes(payload_bytes, card_bytes_max)
        try:
            writer = self.inner.open_writer(
                payload_bytes, card_bytes_max, storage_key=storage_key, patience_s=patience_s
            )
        except BackendError:
            # No byte of it was sent.
            self._meter.give_back({UsageKind.INGRESS_BYTES: spent_bytes}, spent_at_s=spent_at_s)
            raise
        return _MeteredWriter(writer, self._meter, spent_bytes, spent_at_s)

    def open_reader(
        self, storage_key: str, payload_bytes: int, /, *, is_last_choice: bool = False
    ) -> PieceReader:
        reader = self.inner.open_reader(storage_key, payload_bytes, is_last_choice=is_last_choice)
        return _MeteredReader(reader, self._meter, self._request_count)

    def read_tail(self, storage_key: str, payload_bytes: int, /) -> PieceTail:
        """Also raises BackendOverLimit."""
        tail_bytes = self.inner.occupied_bytes(payload_bytes, CARD_BYTES_MAX) - payload_bytes
        spent_at_s = self._meter.spend(self._reading(tail_bytes))
        tail = self.inner.read_tail(storage_key, payload_bytes)
        read_bytes = self.inner.occupied_bytes(payload_bytes, len(tail.card)) - payload_bytes
        unused = {UsageKind.EGRESS_BYTES: max(0, tail_bytes - read_bytes)}
        self._meter.give_back(unused, spent_at_s=spent_at_s)
        return tail

    def verify_in_place(self, storage_key: str, payload_bytes: int, block_crcs: bytes, /) -> bool:
        """Also raises BackendOverLimit. What follows the payload is read, and no more."""
        tail_bytes = self.inner.occupied_bytes(payload_bytes, CARD_BYTES_MAX) - payload_bytes
        spent_at_s = self._meter.spend({UsageKind.EGRESS_BYTES: tail_bytes})
        is_verified = self.inner.verify_in_place(storage_key, payload_bytes, block_crcs)
        if not is_verified:
            self._meter.give_back({UsageKind.EGRESS_BYTES: tail_bytes}, spent_at_s=spent_at_s)
        return is_verified

    def delete(self, storage_key: str, stored_bytes: int, /) -> None:
        if self._request_count:
            self._meter.count({UsageKind.DELETE_REQUESTS: 1})
        self.inner.delete(storage_key, stored_bytes)

    def check_identity(self) -> None:
        """As often as the limit of reads allows; in between, and past the limit, what was seen last holds.

        Also raises BackendOverLimit, while it was never seen.
        """
        if self._was_proved and not self._meter.may_probe():
            return
        try:
            self._meter.spend(self._reading(IDENTITY_BYTES))
            self.inner.check_identity()
        except BackendOverLimit:
            if self._was_proved:
                return
            raise
        self._was_proved = True

    def remove_identity(self) -> None:
        if self._request_count:
            self._meter.count({UsageKind.DELETE_REQUESTS: 1})
        self.inner.remove_identity()

    def list_objects(self, token: str | None = None, /, *, after: str = "") -> ListedPage:
        """Counted with what writes, as providers do. Also raises BackendOverLimit."""
        amounts = {UsageKind.EGRESS_BYTES: LISTING_BYTES}
        if self._request_count:
            amounts[UsageKind.WRITE_REQUESTS] = self._request_count
        spent_at_s = self._meter.spend(amounts)
        page = super().list_objects(token, after=after)
        unused = {UsageKind.EGRESS_BYTES: LISTING_BYTES - page.document_bytes}
        self._meter.give_back(unused, spent_at_s=spent_at_s)
        return page

    def object_bytes(self, storage_key: str, /) -> int:
        """Also raises BackendOverLimit."""
        self._meter.spend(self._reading(0))
        return super().object_bytes(storage_key)

    def read_card(self, storage_key: str, object_bytes: int, /) -> bytes:
        """Also raises BackendOverLimit."""
        self._meter.spend(self._reading(min(object_bytes, CARD_SPAN_BYTES_MAX)))
        return super().read_card(storage_key, object_bytes)

    def _spend_write(self, payload_bytes: int, card_bytes: int) -> float:
        size_bytes = self.inner.occupied_bytes(payload_bytes, card_bytes)
        amounts = {UsageKind.INGRESS_BYTES: size_bytes}
        if self._request_count:
            amounts[UsageKind.WRITE_REQUESTS] = self._request_count
        return self._meter.spend(amounts)

    def _reading(self, size_bytes: int) -> Amounts:
        amounts = {UsageKind.EGRESS_BYTES: size_bytes}
        if self._request_count:
            amounts[UsageKind.READ_REQUESTS] = self._request_count
        return amounts


class _MeteredWriter:
    def __init__(self, inner: PieceWriter, meter: Meter, spent_bytes: int, spent_at_s: float) -> None:
        self._inner = inner
        self._meter = meter
        self._unused_bytes = spent_bytes
        self._spent_at_s = spent_at_s

    def write(self, payload: memoryview, /) -> None:
        self._unused_bytes -= len(payload)
        self._inner.write(payload)

    def finish(self, tail: PieceTail, /) -> StoredPiece:
        # Checksums, card and trailer: whether or not they arrive.
        self._unused_bytes = 0
        return self._inner.finish(tail)

    def abort(self) -> None:
        unused_bytes, self._unused_bytes = self._unused_bytes, 0
        self._inner.abort()
        if unused_bytes > 0:
            self._meter.give_back({UsageKind.INGRESS_BYTES: unused_bytes}, spent_at_s=self._spent_at_s)


class _MeteredReader:
    def __init__(self, inner: PieceReader, meter: Meter, request_count: int) -> None:
        self._inner = inner
        self._meter = meter
        self._request_count = request_count
        # Where a read goes on with the request that is under way.
        self._next_offset: int | None = None
        # Bytes that were asked for, spent then, and not read yet.
        self._asked_start = self._asked_stop = 0
        self._asked_at_s = 0.0

    def read_into(self, offset: int, buffer: memoryview, /, *, nowait: bool = False) -> None:
        """Also raises BackendOverLimit: the bytes are spent before they are asked for."""
        stop = offset + len(buffer)
        if offset == self._asked_start and stop <= self._asked_stop:
            self._asked_start = stop
            try:
                self._inner.read_into(offset, buffer, nowait=nowait)
            except WouldBlock:
                self._asked_start = offset
                raise
            self._next_offset = stop
            return
        amounts = self._reading(offset, len(buffer))
        spent_at_s = self._meter.spend(amounts, nowait=nowait)
        try:
            self._inner.read_into(offset, buffer, nowait=nowait)
        except (WouldBlock, BackendOverLimit):
            self._meter.give_back(amounts, spent_at_s=spent_at_s)
            raise
        except BaseException:
            self._next_offset = None
            raise
        self._next_offset = offset + len(buffer)

    def is_under_way(self, offset: int, size_bytes: int, /) -> bool:
        return self._inner.is_under_way(offset, size_bytes)

    def ask(self, offset: int, size_bytes: int, /, *, patience_s: float, is_all: bool = False) -> None:
        """Also raises BackendOverLimit: all of it is spent. What is not read in the end is given back."""
        self._give_back()
        amounts = self._reading(offset, size_bytes)
        spent_at_s = self._meter.spend(amounts)
        try:
            self._inner.ask(offset, size_bytes, patience_s=patience_s, is_all=is_all)
        except BackendOverLimit:
            self._meter.give_back(amounts, spent_at_s=spent_at_s)
            raise
        self._asked_start, self._asked_stop = offset, offset + size_bytes
        self._asked_at_s = spent_at_s

    def take(
        self, offset: int, length: int, /, *, pipe: Pipe | None = None, nowait: bool = False
    ) -> Region | None:
        """Also raises BackendOverLimit: the first call for bytes that were not asked for spends all of them."""
        if offset == self._asked_start and offset + length <= self._asked_stop:
            region = self._inner.take(offset, length, pipe=pipe, nowait=nowait)
        else:
            region = self._take_first(offset, length, pipe, nowait=nowait)
        if region is not None:
            self._next_offset = self._asked_start = offset + region_bytes(region)
        return region

    def _take_first(self, offset: int, length: int, pipe: Pipe | None, *, nowait: bool) -> Region | None:
        self._give_back()
        amounts = self._reading(offset, length)
        spent_at_s = self._meter.spend(amounts, nowait=nowait)
        try:
            region = self._inner.take(offset, length, pipe=pipe, nowait=nowait)
        except (WouldBlock, BackendOverLimit):
            self._meter.give_back(amounts, spent_at_s=spent_at_s)
            raise
        self._asked_start, self._asked_stop = offset, offset + length
        self._asked_at_s = spent_at_s
        return region

    def _reading(self, offset: int, size_bytes: int) -> dict[UsageKind, int]:
        amounts = {UsageKind.EGRESS_BYTES: size_bytes}
        if offset != self._next_offset and self._request_count:
            amounts[UsageKind.READ_REQUESTS] = self._request_count
        return amounts

    def region(self, offset: int, length: int, /) -> FileRegion | None:
        """Bytes that were read and verified a moment ago: they are counted."""
        return self._inner.region(offset, length)

    def close(self) -> None:
        self._give_back()
        self._inner.close()

    def _give_back(self) -> None:
        unread_bytes = self._asked_stop - self._asked_start
        if unread_bytes:
            self._asked_start = self._asked_stop = 0
            self._meter.give_back({UsageKind.EGRESS_BYTES: unread_bytes}, spent_at_s=self._asked_at_s)
