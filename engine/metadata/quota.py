"""Accounts of bytes: striped, changed by conditional updates, never above the limit at any concurrency."""

import random
from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Row, SqlValue, Tx

STRIPE_COUNT = 1
"""Stripes of a new subject. SQLite has one writer and needs no more; the code handles any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaTotals:
    """Sums over a subject's stripes. No limit: null."""

    limit_bytes: int | None
    used_bytes: int
    orphan_bytes: int
    reserved_bytes: int
    object_count: int


def backend_subject(backend_id: int) -> str:
    return f"backend:{backend_id}"


def bucket_subject(bucket_id: int) -> str:
    return f"bucket:{bucket_id}"


def ensure_subject(
    tx: Tx, subject: str, limit_bytes: int | None, *, stripe_count: int = STRIPE_COUNT
) -> None:
    """Open an account if there is none; the shares of its stripes sum up to the limit."""
    if tx.run("insert_quota_limit", {"subject": subject, "limit_bytes": limit_bytes}) == 0:
        return
    for stripe, share in enumerate(_shares(limit_bytes, stripe_count)):
        tx.run("insert_quota_stripe", {"subject": subject, "stripe": stripe, "share_bytes": share})


def set_limit(tx: Tx, subject: str, limit_bytes: int | None) -> None:
    """Another limit. An account that holds more keeps what it holds, takes nothing new, and shrinks as bytes go."""
    tx.run("update_quota_limit", {"subject": subject, "limit_bytes": limit_bytes})
    stripes = _held_by_stripe(tx, subject)
    free = None if limit_bytes is None else max(0, limit_bytes - sum(stripes.values()))
    for (stripe, holds), room in zip(stripes.items(), _shares(free, len(stripes)), strict=True):
        share = None if room is None else holds + room
        tx.run("update_quota_share", {"subject": subject, "stripe": stripe, "share_bytes": share})


def forget_subject(tx: Tx, subject: str) -> None:
    tx.run("delete_quota_stripes", {"subject": subject})
    tx.run("delete_quota_limit", {"subject": subject})


def take(tx: Tx, subject: str, *, size_bytes: int, objects: int = 0) -> bool:
    """Use bytes at once, without a promise before; false when there is no room."""
    params: dict[str, SqlValue] = {"subject": subject, "bytes": size_bytes, "objects": objects}
    for stripe in _stripes(tx, subject):
        if tx.run("take_quota", {**params, "stripe": stripe}):
            return True
    gathered = _gather_room(tx, subject, size_bytes)
    return gathered is not None and bool(tx.run("take_quota", {**params, "stripe": gathered}))


def give_back(tx: Tx, subject: str, *, size_bytes: int, objects: int = 0) -> None:
    """Used bytes are used no more."""
    tx.run("give_back_quota", {"subject": subject, "stripe": 0, "bytes": size_bytes, "objects": objects})


def reserve(tx: Tx, subject: str, size_bytes: int) -> int | None:
    """Promise bytes to a write under way: the stripe that promises, or null without room."""
    params: dict[str, SqlValue] = {"subject": subject, "bytes": size_bytes}
    for stripe in _stripes(tx, subject):
        if tx.run("reserve_quota", {**params, "stripe": stripe}):
            return stripe
    gathered = _gather_room(tx, subject, size_bytes)
    if gathered is not None and tx.run("reserve_quota", {**params, "stripe": gathered}):
        return gathered
    return None


def settle_reserved(
    tx: Tx, subject: str, stripe: int, *, reserved_bytes: int, used_bytes: int, objects: int = 0
) -> None:
    """A promise ends; `used_bytes` of it became real."""
    tx.run(
        "settle_reserved_quota",
        {
            "subject": subject,
            "stripe": stripe,
            "reserved_bytes": reserved_bytes,
            "used_bytes": used_bytes,
            "objects": objects,
        },
    )


def orphan(tx: Tx, subject: str, *, size_bytes: int, objects: int = 0) -> None:
    """Used bytes wait for deletion now: still on the backend, so still counted."""
    tx.run("orphan_quota", {"subject": subject, "stripe": 0, "bytes": size_bytes, "objects": objects})


def add_orphan(tx: Tx, subject: str, *, size_bytes: int) -> None:
    """Bytes that were never counted wait for deletion; they are there, so past all free room they raise the share."""
    _gather_room(tx, subject, 0)
    tx.run("add_orphan_quota", {"subject": subject, "stripe": 0, "bytes": size_bytes})


def free_orphan(tx: Tx, subject: str, *, size_bytes: int) -> None:
    """Bytes that waited for deletion are gone."""
    tx.run("free_orphan_quota", {"subject": subject, "stripe": 0, "bytes": size_bytes})


def read_quota(tx: Tx, subject: str) -> QuotaTotals | None:
    row = tx.row_or_none("read_quota_totals", {"subject": subject})
    if row is None:
        return None
    limit, used, orphaned, reserved, objects = row
    return QuotaTotals(
        limit_bytes=cast("int | None", limit),
        used_bytes=cast(int, used),
        orphan_bytes=cast(int, orphaned),
        reserved_bytes=cast(int, reserved),
        object_count=cast(int, objects),
    )


def _shares(limit_bytes: int | None, stripe_count: int) -> list[int | None]:
    if limit_bytes is None:
        return [None] * stripe_count
    share, rest = divmod(limit_bytes, stripe_count)
    return [share + (stripe < rest) for stripe in range(stripe_count)]


def _stripes(tx: Tx, subject: str) -> list[int]:
    if STRIPE_COUNT == 1:
        return [0]
    stripes = [cast(int, row[0]) for row in tx.rows("list_quota_stripes", {"subject": subject})]
    random.shuffle(stripes)
    return stripes


def _gather_room(tx: Tx, subject: str, wanted_bytes: int) -> int | None:
    """Move free share of all stripes to the first, under all their locks; that stripe if there is room at all."""
    rows = tx.rows("list_quota_stripes", {"subject": subject})
    if len(rows) < 2 or rows[0][1] is None:
        return None
    held = [_held(row) for row in rows]
    free = sum(cast(int, row[1]) - holds for row, holds in zip(rows, held, strict=True))
    if free < wanted_bytes:
        return None
    for row, holds in list(zip(rows, held, strict=True))[1:]:
        tx.run("update_quota_share", {"subject": subject, "stripe": row[0], "share_bytes": holds})
    tx.run("update_quota_share", {"subject": subject, "stripe": rows[0][0], "share_bytes": held[0] + free})
    return cast(int, rows[0][0])


def _held_by_stripe(tx: Tx, subject: str) -> dict[int, int]:
    return {cast(int, row[0]): _held(row) for row in tx.rows("list_quota_stripes", {"subject": subject})}


def _held(row: Row) -> int:
    _, _, used, orphaned, promised, _ = row
    return cast(int, used) + cast(int, orphaned) + cast(int, promised)
