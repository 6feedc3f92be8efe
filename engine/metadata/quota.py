"""Accounts of bytes: striped, changed by conditional updates, never above the limit at any concurrency.

Stripes are locked in the order of (subject, stripe), at the end of a transaction: `Changes` gathers what it does there.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Answer, Row, RunAgain, SqlValue, Tx

_SHRINKING = frozenset({"give_back_quota", "free_orphan_quota", "settle_reserved_quota"})
"""Statements that look at the whole account for what its shares have above the limit."""


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


def backend_of(subject: str) -> int:
    """Whose account `backend_subject` named."""
    return int(subject.removeprefix("backend:"))


def is_bucket(subject: str) -> bool:
    """Whether the account is a bucket's."""
    return subject.startswith("bucket:")


def bucket_of(subject: str) -> int:
    """Whose account `bucket_subject` named."""
    return int(subject.removeprefix("bucket:"))


def bucket_subject(bucket_id: int) -> str:
    return f"bucket:{bucket_id}"


class Changes:
    """What one transaction does to accounts. Nothing happens before `apply`, which nothing else may follow."""

    def __init__(self) -> None:
        self._used: dict[str, tuple[int, int]] = {}
        self._orphaned: dict[str, tuple[int, int]] = {}
        self._freed: dict[str, int] = {}
        self._found: dict[str, tuple[int, int, int]] = {}

    def use(self, subject: str, *, size_bytes: int, objects: int = 0) -> None:
        """More bytes are used, or fewer when negative: only what is left over in the end needs room."""
        _add(self._used, subject, size_bytes, objects)

    def orphan(self, subject: str, *, size_bytes: int, objects: int = 0) -> None:
        """Used bytes wait for deletion now: still there, so still counted."""
        _add(self._orphaned, subject, size_bytes, objects)

    def free_orphan(self, subject: str, *, size_bytes: int) -> None:
        """Bytes that waited for deletion are gone."""
        self._freed[subject] = self._freed.get(subject, 0) + size_bytes

    def find(self, subject: str, *, used_bytes: int = 0, orphan_bytes: int = 0, objects: int = 0) -> None:
        """Bytes that were never counted are there: past all free room they raise the share."""
        before = self._found.get(subject, (0, 0, 0))
        self._found[subject] = (before[0] + used_bytes, before[1] + orphan_bytes, before[2] + objects)

    def wanted_bytes(self, subject: str) -> int:
        """How many more bytes are to be used."""
        return self._used.get(subject, (0, 0))[0]

    def apply(self, tx: Tx) -> str | None:
        """Do it; the first subject without room, after which the transaction must not commit, or null."""
        taken: list[tuple[str, Answer]] = []
        done: list[tuple[str, dict[str, SqlValue], Answer]] = []
        touched = self._used.keys() | self._orphaned.keys() | self._freed.keys() | self._found.keys()
        for subject in sorted(touched):
            stripe = _any_stripe(tx)
            if subject in self._found:
                _find(tx, subject, *self._found[subject])
            steps: list[tuple[str, dict[str, SqlValue]]] = []
            if subject in self._orphaned:
                steps.append(("orphan_quota", _named(subject, stripe, *self._orphaned[subject])))
            if subject in self._freed:
                steps.append(("free_orphan_quota", _named(subject, stripe, self._freed[subject])))
            size_bytes, objects = self._used.get(subject, (0, 0))
            if size_bytes > 0 and tx.is_again:
                if not _take_gathered(tx, subject, size_bytes, objects):
                    return subject
            elif size_bytes > 0:
                asked = tx.ask("take_quota", _named(subject, stripe, size_bytes, objects))
                taken.append((subject, asked))
            elif size_bytes or objects:
                steps.append(("give_back_quota", _named(subject, stripe, -size_bytes, -objects)))
            done += [(name, params, _ask(tx, name, params)) for name, params in steps]
        for name, params, answer in done:
            _check(tx, name, params, answer)
        for subject, answer in taken:
            if not answer.count() and not _take_elsewhere(tx, subject, *self._used[subject]):
                return subject
        return None


def ensure_subject(tx: Tx, subject: str, limit_bytes: int | None, *, stripe_count: int | None = None) -> None:
    """Open an account if there is none; the shares of its stripes sum up to the limit."""
    if tx.run("insert_quota_limit", {"subject": subject, "limit_bytes": limit_bytes}) == 0:
        return
    for stripe, share in enumerate(_shares(limit_bytes, stripe_count or tx.stripe_count)):
        tx.run("insert_quota_stripe", {"subject": subject, "stripe": stripe, "share_bytes": share})


def set_limit(tx: Tx, subject: str, limit_bytes: int | None) -> None:
    """Another limit. An account that holds more keeps what it holds, takes nothing new, and shrinks as bytes go."""
    tx.run("update_quota_limit", {"subject": subject, "limit_bytes": limit_bytes})
    stripes = _held_by_stripe(tx, subject)
    free = None if limit_bytes is None else max(0, limit_bytes - sum(stripes.values()))
    for (stripe, holds), room in zip(stripes.items(), _shares(free, len(stripes)), strict=True):
        share = None if room is None else holds + room
        tx.run("update_quota_share", {"subject": subject, "stripe": stripe, "share_bytes": share})


def restripe(tx: Tx, subject: str, limit_bytes: int | None) -> None:
    """Give an account as many stripes as a new one would have."""
    share_bytes = None if limit_bytes is None else 0
    for stripe in range(len(_locked_stripes(tx, subject)), tx.stripe_count):
        tx.ask("insert_quota_stripe", {"subject": subject, "stripe": stripe, "share_bytes": share_bytes})
    set_limit(tx, subject, limit_bytes)


def list_limits(tx: Tx) -> list[tuple[str, int | None]]:
    """Every account with its limit."""
    return [
        (cast(str, subject), cast("int | None", limit)) for subject, limit in tx.rows("list_quota_limits", {})
    ]


def forget_subject(tx: Tx, subject: str) -> None:
    tx.run("delete_quota_stripes", {"subject": subject})
    tx.run("delete_quota_limit", {"subject": subject})


def take(tx: Tx, subject: str, *, size_bytes: int, objects: int = 0) -> bool:
    """Use bytes at once, without a promise before; false when there is no room."""
    if tx.is_again:
        return _take_gathered(tx, subject, size_bytes, objects)
    if tx.run("take_quota", _named(subject, _any_stripe(tx), size_bytes, objects)):
        return True
    return _take_elsewhere(tx, subject, size_bytes, objects)


def give_back(tx: Tx, subject: str, *, size_bytes: int, objects: int = 0) -> None:
    """Used bytes are used no more."""
    _surely(tx, "give_back_quota", _named(subject, _any_stripe(tx), size_bytes, objects))


def reserve(tx: Tx, subject: str, size_bytes: int) -> int | None:
    """Promise bytes to a write under way: the stripe that promises, or null without room."""
    if not tx.is_again:
        stripe = _any_stripe(tx)
        if tx.run("reserve_quota", _reserving(subject, stripe, size_bytes)):
            return stripe
        _begin_again(tx)
    gathered = _gather_room(tx, subject, size_bytes)
    if gathered is not None and tx.run("reserve_quota", _reserving(subject, gathered, size_bytes)):
        return gathered
    return None


def settle_reserved(
    tx: Tx, subject: str, stripe: int, *, reserved_bytes: int, used_bytes: int, objects: int = 0
) -> None:
    """A promise ends; `used_bytes` of it became real."""
    _ask(
        tx,
        "settle_reserved_quota",
        {
            "subject": subject,
            "stripe": stripe,
            "reserved_bytes": reserved_bytes,
            "used_bytes": used_bytes,
            "objects": objects,
        },
    ).count()


def orphan(tx: Tx, subject: str, *, size_bytes: int, objects: int = 0) -> None:
    """Used bytes wait for deletion now: still on the backend, so still counted."""
    _surely(tx, "orphan_quota", _named(subject, _any_stripe(tx), size_bytes, objects))


def add_orphan(tx: Tx, subject: str, *, size_bytes: int) -> None:
    """Bytes that were never counted wait for deletion; they are there, so past all free room they raise the share."""
    _find(tx, subject, 0, size_bytes, 0)


def free_orphan(tx: Tx, subject: str, *, size_bytes: int) -> None:
    """Bytes that waited for deletion are gone."""
    _surely(tx, "free_orphan_quota", _named(subject, _any_stripe(tx), size_bytes))


def read_quota(tx: Tx, subject: str) -> QuotaTotals | None:
    row = tx.row_or_none("read_quota_totals", {"subject": subject})
    return None if row is None else _read_totals(row)


def read_quotas(tx: Tx, subjects: Sequence[str]) -> list[QuotaTotals | None]:
    """As `read_quota`, of many at once."""
    asked = [tx.ask("read_quota_totals", {"subject": subject}) for subject in subjects]
    rows = [each.row_or_none() for each in asked]
    return [None if row is None else _read_totals(row) for row in rows]


def _read_totals(row: Row) -> QuotaTotals:
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


def _find(tx: Tx, subject: str, used_bytes: int, orphan_bytes: int, objects: int) -> None:
    found_bytes = used_bytes + orphan_bytes
    rows = _locked_stripes(tx, subject)
    stripe = _roomiest(rows, found_bytes)
    if stripe is None:
        stripe = _move_room(tx, subject, rows, found_bytes) if len(rows) > 1 else 0
    tx.ask("add_orphan_quota", {"subject": subject, "stripe": stripe, "bytes": found_bytes})
    if used_bytes or objects:
        # What was just added as an orphan is used: together the two steps add used bytes past a limit.
        tx.ask("orphan_quota", _named(subject, stripe, -used_bytes, -objects))


def _any_stripe(tx: Tx) -> int:
    """One of those a new account has."""
    count = tx.stripe_count
    return 0 if count == 1 else random.randrange(count)


def _surely(tx: Tx, statement: str, params: dict[str, SqlValue]) -> None:
    _check(tx, statement, params, _ask(tx, statement, params))


def _ask(tx: Tx, statement: str, params: dict[str, SqlValue]) -> Answer:
    """Change a stripe, under its lock from before the statement where that looks at the whole account.

    A statement that itself waited for the stripe would see the limit and the other shares as they were before the wait:
    above a limit lowered meanwhile it would leave room.
    """
    if statement in _SHRINKING:
        tx.lock("lock_stripe", {"subject": params["subject"], "stripe": params["stripe"]})
    return tx.ask(statement, params)


def _check(tx: Tx, statement: str, params: dict[str, SqlValue], answer: Answer) -> None:
    """What needs no room is done in any case, in the first stripe where an account has fewer than asked for."""
    if not answer.count():
        _ask(tx, statement, {**params, "stripe": 0})


def _named(subject: str, stripe: int, size_bytes: int, objects: int | None = None) -> dict[str, SqlValue]:
    named: dict[str, SqlValue] = {"subject": subject, "stripe": stripe, "bytes": size_bytes}
    return named if objects is None else {**named, "objects": objects}


def _reserving(subject: str, stripe: int, size_bytes: int) -> dict[str, SqlValue]:
    return {"subject": subject, "stripe": stripe, "bytes": size_bytes}


def _add(changes: dict[str, tuple[int, int]], subject: str, size_bytes: int, objects: int) -> None:
    before_bytes, before_count = changes.get(subject, (0, 0))
    changes[subject] = (before_bytes + size_bytes, before_count + objects)


def _take_elsewhere(tx: Tx, subject: str, size_bytes: int, objects: int) -> bool:
    """A stripe had no room: look at all of them."""
    _begin_again(tx)
    return _take_gathered(tx, subject, size_bytes, objects)


def _begin_again(tx: Tx) -> None:
    """Run the unit again from the start, to lock stripes in their order.

    PostgreSQL keeps the lock of a row that a conditional update waited for and then did not change, and behind that one
    the others would be out of order. With one writer nobody is waited for.
    """
    if tx.stripe_count > 1:
        raise RunAgain


def _take_gathered(tx: Tx, subject: str, size_bytes: int, objects: int) -> bool:
    """Take what no single stripe had room for."""
    gathered = _gather_room(tx, subject, size_bytes)
    return gathered is not None and bool(tx.run("take_quota", _named(subject, gathered, size_bytes, objects)))


def _gather_room(tx: Tx, subject: str, wanted_bytes: int) -> int | None:
    """A stripe with that much room, under the locks of all: the one with the most, or the first, to which it is moved.

    Null when there is not so much room in all, or no account.
    """
    rows = _locked_stripes(tx, subject)
    stripe = _roomiest(rows, wanted_bytes)
    if stripe is not None:
        return stripe
    if not rows or _free_bytes(tx, subject, rows) < wanted_bytes:
        return None
    return _move_room(tx, subject, rows, wanted_bytes)


def _roomiest(rows: Sequence[Row], wanted_bytes: int) -> int | None:
    """The stripe with the most room when that is enough; any where there is no limit."""
    if rows and rows[0][1] is None:
        return cast(int, rows[0][0])
    rooms = [(cast(int, row[1]) - _held(row), cast(int, row[0])) for row in rows]
    room_bytes, stripe = max(rooms, default=(-1, 0))
    return stripe if rows and room_bytes >= wanted_bytes else None


def _free_bytes(tx: Tx, subject: str, rows: Sequence[Row]) -> int:
    """What all stripes have free, which are locked.

    Bytes given back at the same time while the account was over its limit may have shrunk the shares below it.
    """
    (limit_bytes, *_) = tx.row("read_quota_totals", {"subject": subject})
    shares = sum(cast(int, row[1]) for row in rows)
    held = sum(_held(row) for row in rows)
    return max(cast(int, limit_bytes), shares) - held


def _move_room(tx: Tx, subject: str, rows: Sequence[Row], wanted_bytes: int) -> int:
    """Move what is wanted to the first stripe, all of which are locked; what is free besides is shared out evenly.

    Whoever finds no room in a stripe asks for the locks of all, so none is left without while there is any.
    """
    free_bytes = _free_bytes(tx, subject, rows)
    first_bytes = min(free_bytes, max(0, wanted_bytes))
    (first_share, *shares) = cast("list[int]", _shares(free_bytes - first_bytes, len(rows)))
    for row, share_bytes in zip(rows[1:], shares, strict=True):
        share = {"subject": subject, "stripe": row[0], "share_bytes": _held(row) + share_bytes}
        tx.ask("update_quota_share", share)
    share = {
        "subject": subject,
        "stripe": rows[0][0],
        "share_bytes": _held(rows[0]) + first_bytes + first_share,
    }
    tx.ask("update_quota_share", share)
    return cast(int, rows[0][0])


def _locked_stripes(tx: Tx, subject: str) -> list[Row]:
    tx.lock("lock_quota", {"subject": subject})
    return tx.rows("list_quota_stripes", {"subject": subject})


def _held_by_stripe(tx: Tx, subject: str) -> dict[int, int]:
    return {cast(int, row[0]): _held(row) for row in _locked_stripes(tx, subject)}


def _held(row: Row) -> int:
    _, _, used, orphaned, promised, _ = row
    return cast(int, used) + cast(int, orphaned) + cast(int, promised)
