"""What of a backend was used in a month, against its limits: leased to processes before they use it.

What is taken of a limit is used, or leased to a process that may use it. So however many processes there are, and
whichever of them die, a limit is never passed: a lease that nobody gives back counts as used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from engine.metadata.processes import DEAD_AFTER_S
from engine.metadata.store import SqlValue, Tx
from engine.records import UsageKind
from engine.units import MIB

SHARE_COUNT = 8
"""A process leases this part of its share of what is left: the nearer the limit, the smaller the leases."""

SHARE_REQUESTS_MAX = 1000
SHARE_BYTES_MAX = 256 * MIB
"""A process that dies takes no more than this with it, and asks the database as seldom as that."""

BYTE_KINDS = frozenset({UsageKind.EGRESS_BYTES, UsageKind.INGRESS_BYTES})

Account = tuple[int, UsageKind]
"""The id of a backend, and what is counted of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month by UTC and the database's clock."""

    period: str
    starts_us: int
    ends_us: int
    now_us: int

    @property
    def left_s(self) -> float:
        return (self.ends_us - self.now_us) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What may be used until the month ends. With `refused` nothing may: of that kind too little is left."""

    month: Month
    amounts: Mapping[UsageKind, int]
    refused: UsageKind | None = None
    refused_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedOfMonth:
    """`leased` is what live processes have not used yet of what was taken; `limit` null: there is none.

    `backend` is the name of one that is there since `backend_since_us`.
    """

    backend: str
    backend_since_us: int
    taken: int
    leased: int
    limit: int | None

    @property
    def used(self) -> int:
        """As of the last time that each process told of itself."""
        return max(0, self.taken - self.leased)

    @property
    def left(self) -> int | None:
        """What can be leased; null without a limit."""
        return None if self.limit is None else max(0, self.limit - self.taken)


def month_of(now_us: int) -> Month:
    now = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return Month(
        period=start.strftime("%Y-%m"),
        starts_us=int(start.timestamp()) * 1_000_000,
        ends_us=int(end.timestamp()) * 1_000_000,
        now_us=now_us,
    )


def fair_share(kind: UsageKind, left: int, holder_count: int) -> int:
    """What one of so many processes leases at once of what is left, and keeps when it uses nothing."""
    most = SHARE_BYTES_MAX if kind in BYTE_KINDS else SHARE_REQUESTS_MAX
    return min(most, left // (SHARE_COUNT * max(1, holder_count)))


def set_limits(tx: Tx, backend_id: int, limits: Mapping[UsageKind, int]) -> None:
    """What a generation says. One below what was taken lets nothing more be taken this month."""
    for kind in UsageKind:
        named: dict[str, SqlValue] = {"backend_id": backend_id, "kind": kind.value}
        if kind in limits:
            tx.run("upsert_usage_limit", {**named, "amount": limits[kind]})
        else:
            tx.run("delete_usage_limit", named)


def lease(
    tx: Tx, *, process_id: bytes, backend_id: int, wanted: Mapping[UsageKind, int], with_more: bool
) -> Lease:
    """Take what is wanted of every kind, or nothing of any; `with_more`: up to a fair share, for uses to come."""
    month = month_of(tx.now_us())
    holder_count = count_holders(tx) if with_more else 1
    amounts: dict[UsageKind, int] = {}
    for kind in sorted(wanted, key=lambda each: each.value):
        account = _named(backend_id, month, kind)
        tx.run("open_usage", account)
        tx.lock("lock_usage", account)
        taken, limit = cast("tuple[int, int | None]", tx.row("find_usage", account))
        amount = wanted[kind]
        if limit is not None:
            left = max(0, limit - taken)
            if amount > left:
                return Lease(month=month, amounts={}, refused=kind, refused_left=left)
            if with_more:
                amount = max(amount, fair_share(kind, left, holder_count))
        amounts[kind] = amount
    for kind, amount in amounts.items():
        account = _named(backend_id, month, kind)
        # The accounts are locked since they were read, so this never is refused; it would be by the limit itself.
        assert tx.run("take_usage", {**account, "amount": amount}) == 1
        tx.run("add_usage_lease", {**account, "process_id": process_id, "amount": amount})
    return Lease(month=month, amounts=amounts)


def report(
    tx: Tx,
    *,
    process_id: bytes,
    period: str,
    counted: Mapping[Account, int],
    returned: Mapping[Account, int],
    kept: Mapping[Account, int],
) -> None:
    """What a process used of kinds without a limit, what it gives back of its leases, and what it keeps of them.

    `period` is the month of the leases; in any other nothing is given back.
    """
    month = month_of(tx.now_us())
    for (backend_id, kind), amount in _in_order(counted):
        account = _named(backend_id, month, kind)
        tx.run("open_usage", account)
        tx.run("add_usage", {**account, "amount": amount})
    if period != month.period:
        return
    for (backend_id, kind), amount in _in_order(returned):
        tx.run("add_usage", {**_named(backend_id, month, kind), "amount": -amount})
    for (backend_id, kind), amount in _in_order(kept):
        account = _named(backend_id, month, kind)
        tx.run("set_usage_lease", {**account, "process_id": process_id, "amount": amount})


def forget_leases(tx: Tx) -> None:
    """Of other months, and of processes long gone: these are used up."""
    tx.run("forget_usage_leases", {"period": month_of(tx.now_us()).period})


def count_holders(tx: Tx) -> int:
    """Processes that may want a share."""
    (count,) = tx.row("count_live_processes", {"alive_us": _alive_us(tx)})
    return cast(int, count)


def read_month(tx: Tx) -> tuple[Month, dict[Account, UsedOfMonth]]:
    """This month's use of every backend, by its id and what was used; limits of which nothing was used included."""
    month = month_of(tx.now_us())
    return month, read_accounts(tx, month)


def read_accounts(tx: Tx, month: Month) -> dict[Account, UsedOfMonth]:
    """As `read_month`, of any month."""
    rows = tx.rows("list_usage", {"period": month.period, "alive_us": _alive_us(tx)})
    return {
        (cast(int, backend_id), UsageKind(kind)): UsedOfMonth(
            backend=cast(str, name),
            backend_since_us=cast(int, since_us),
            taken=cast(int, taken),
            leased=cast(int, leased),
            limit=cast("int | None", limit),
        )
        for backend_id, name, since_us, kind, taken, limit, leased in rows
    }


def _alive_us(tx: Tx) -> int:
    return tx.now_us() - DEAD_AFTER_S * 1_000_000


def _in_order(amounts: Mapping[Account, int]) -> list[tuple[Account, int]]:
    """In the order in which every transaction takes accounts."""
    return sorted(amounts.items(), key=lambda each: (each[0][0], each[0][1].value))


def _named(backend_id: int, month: Month, kind: UsageKind) -> dict[str, SqlValue]:
    return {"backend_id": backend_id, "period": month.period, "kind": kind.value}
