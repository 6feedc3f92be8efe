"""What one process may still use of each backend this month, leased ahead from what the deployment has left."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from engine.clock import Clock
from engine.errors import BackendOverLimit, BackendUnavailable, DatabaseUnavailable, OutcomeUnknown
from engine.metadata import month_usage
from engine.metadata.month_usage import Account, Lease, Month
from engine.metadata.store import Store
from engine.names import BackendName
from engine.records import UsageKind
from engine.streams import WouldBlock
from engine.units import DAY_S

REPORT_EVERY_S = 5.0
"""How often a process tells what it used, and gives back what it leased beyond its fair share."""

REFUSED_FOR_S = 1.0
"""How long a refusal holds before the database is asked again: others may have given something back."""

PROBE_PART = 20
"""One of so many read requests of a limit may be a look at the backend, over all processes."""

_MONTH_S = 30 * DAY_S
_UNTOLD = -1

READ_KINDS = frozenset({UsageKind.READ_REQUESTS, UsageKind.EGRESS_BYTES})


@dataclass(slots=True)
class _Purse:
    """What of one limited kind is leased and not used. Times are monotonic."""

    held: int = 0
    begins_s: float = 0.0
    ends_s: float = 0.0
    # More than this was refused, until the time is over.
    refused_above: int = 0
    refused_until_s: float = 0.0
    resets_at_s: float = 0.0
    is_leasing: bool = False
    # What the database was last told that it holds.
    told: int = 0


class Allowances:
    """Accounts of the backends of one process. Safe for many threads; its owner calls `tick`.

    A kind without a limit is counted and told of in batches. One with a limit is leased before it is used.
    """

    def __init__(self, *, store: Store, process_id: bytes, clock: Clock) -> None:
        self._store = store
        self._process_id = process_id
        self._clock = clock
        self._lock = threading.Lock()
        self._purses: dict[Account, _Purse] = {}
        self._limits: dict[Account, int] = {}
        self._counted: dict[Account, int] = {}
        self._period = ""
        self._holder_count = 1
        self._report_due_s = 0.0
        self._probe_due_s: dict[int, float] = {}

    def limit(self, limits: Mapping[int, Mapping[UsageKind, int]]) -> None:
        """From now on these hold, by backend. What a process leased before under others counts all the same."""
        with self._lock:
            self._limits = {
                (backend_id, kind): amount
                for backend_id, each in limits.items()
                for kind, amount in each.items()
            }
            for account in self._limits:
                self._purses.setdefault(account, _Purse())

    def limits(self, backend_id: int, kind: UsageKind) -> bool:
        """Whether that kind has a limit there."""
        return (backend_id, kind) in self._limits

    def limits_any(self, kind: UsageKind) -> bool:
        """Whether it has one anywhere."""
        return bool(self._limits) and any(limited is kind for _, limited in self._limits)

    def meter_of(self, backend_id: int, name: BackendName) -> "BackendMeter":
        return BackendMeter(self, backend_id, name)

    def allows_write(self, backend_id: int, size_bytes: int) -> bool:
        """Whether a piece may be put there, as far as is known here."""
        if not self._limits:
            return True
        return self._allows(backend_id, {UsageKind.WRITE_REQUESTS: 1, UsageKind.INGRESS_BYTES: size_bytes})

    def read_rank(self, backend_id: int) -> int:
        """In which order copies are read, less first: without a limit on it, within the limit, past it."""
        if not self._limits or not any((backend_id, kind) in self._limits for kind in READ_KINDS):
            return 0
        return 1 if self._allows(backend_id, dict.fromkeys(READ_KINDS, 1)) else 2

    def spend(
        self, backend_id: int, name: BackendName, amounts: Mapping[UsageKind, int], *, nowait: bool
    ) -> float:
        """See `Meter.spend`."""
        while True:
            with self._lock:
                short = self._short(backend_id, amounts)
                if not short:
                    self._use(backend_id, amounts)
                    return self._clock.monotonic_s()
                refused = self._refused(backend_id, short)
                if refused is not None:
                    raise self._over_limit(backend_id, name, refused)
                if nowait:
                    raise WouldBlock
                # One thread leases for all that is to come; the others, meanwhile, for themselves.
                purses = [self._purses[backend_id, kind] for kind in short]
                with_more = not any(each.is_leasing for each in purses)
                if with_more:
                    for each in purses:
                        each.is_leasing = True
            try:
                self._lease(backend_id, name, short, with_more=with_more)
            finally:
                if with_more:
                    with self._lock:
                        for each in purses:
                            each.is_leasing = False

    def give_back(self, backend_id: int, amounts: Mapping[UsageKind, int], *, spent_at_s: float) -> None:
        """See `Meter.give_back`. What was spent of the month before is no use to this one."""
        with self._lock:
            for kind, amount in amounts.items():
                purse = self._purses.get((backend_id, kind))
                if purse is None or spent_at_s >= purse.begins_s:
                    self._use(backend_id, {kind: -amount})

    def count(self, backend_id: int, amounts: Mapping[UsageKind, int]) -> None:
        """See `Meter.count`."""
        with self._lock:
            for kind, amount in amounts.items():
                account = (backend_id, kind)
                self._counted[account] = self._counted.get(account, 0) + amount

    def may_probe(self, backend_id: int) -> bool:
        """See `Meter.may_probe`."""
        limit = self._limits.get((backend_id, UsageKind.READ_REQUESTS))
        if limit is None:
            return True
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s < self._probe_due_s.get(backend_id, 0.0):
                return False
            probe_count = max(1, limit // (PROBE_PART * self._holder_count))
            self._probe_due_s[backend_id] = now_s + _MONTH_S / probe_count
            return True

    def tick(self) -> None:
        """Tell of what was used, and give back what others may need. Raises what a write raises."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s < self._report_due_s or not (self._limits or self._counted):
                return
            self._report_due_s = now_s + REPORT_EVERY_S
        month, accounts, holder_count = self._store.read(
            lambda tx: (*month_usage.read_month(tx), month_usage.count_holders(tx))
        )
        with self._lock:
            self._holder_count = max(1, holder_count)
        shares = {
            account: month_usage.fair_share(account[1], each.left, holder_count)
            for account, each in accounts.items()
            if each.left is not None
        }
        self._report(shares, forgets=month.period != self._period)

    def close(self) -> None:
        """Give back all that was leased and not used, at a clean stop; what cannot be given back counts as used."""
        self._report(None, forgets=False)

    def _report(self, shares: Mapping[Account, int] | None, *, forgets: bool) -> None:
        """Keep at most these shares, or nothing."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            counted, self._counted = self._counted, {}
            returned: dict[Account, int] = {}
            kept: dict[Account, int] = {}
            for account, purse in self._purses.items():
                if now_s >= purse.ends_s:
                    continue
                surplus = purse.held - (shares.get(account, 0) if shares is not None else 0)
                if surplus > 0:
                    purse.held -= surplus
                    returned[account] = surplus
                if purse.held != purse.told:
                    kept[account] = purse.held
            period = self._period
        if not (counted or returned or kept or forgets):
            return
        unit = partial(
            month_usage.report,
            process_id=self._process_id,
            period=period,
            counted=counted,
            returned=returned,
            kept=kept,
        )
        try:
            self._store.write(unit)
        except OutcomeUnknown:
            # What was given back may be somebody else's by now.
            with self._lock:
                for account in kept:
                    self._purses[account].told = _UNTOLD
            raise
        except DatabaseUnavailable:
            self._take_back(counted, returned)
            raise
        with self._lock:
            for account, amount in kept.items():
                self._purses[account].told = amount
        if forgets:
            self._store.write(month_usage.forget_leases)

    def _take_back(self, counted: Mapping[Account, int], returned: Mapping[Account, int]) -> None:
        with self._lock:
            for account, amount in counted.items():
                self._counted[account] = self._counted.get(account, 0) + amount
            for account, amount in returned.items():
                self._purses[account].held += amount

    def _lease(
        self, backend_id: int, name: BackendName, wanted: Mapping[UsageKind, int], *, with_more: bool
    ) -> None:
        began_at_s = self._clock.monotonic_s()
        unit = partial(
            month_usage.lease,
            process_id=self._process_id,
            backend_id=backend_id,
            wanted=wanted,
            with_more=with_more,
        )
        try:
            leased = self._store.write(unit)
        except (DatabaseUnavailable, OutcomeUnknown) as error:
            with self._lock:
                for kind in wanted:
                    self._purses[backend_id, kind].told = _UNTOLD
            raise BackendUnavailable("nobody can tell what is left of its limits", backend=name) from error
        with self._lock:
            # The database's clock was read after this one: the month ends here no later than there.
            self._credit(backend_id, leased, leased.month, began_at_s)

    def _credit(self, backend_id: int, leased: Lease, month: Month, began_at_s: float) -> None:
        ends_s = began_at_s + month.left_s
        self._period = month.period
        if leased.refused is not None:
            purse = self._purses[backend_id, leased.refused]
            purse.refused_above = leased.refused_left
            purse.refused_until_s = self._clock.monotonic_s() + REFUSED_FOR_S
            purse.resets_at_s = ends_s
        for kind, amount in leased.amounts.items():
            purse = self._purses[backend_id, kind]
            if self._clock.monotonic_s() >= purse.ends_s:
                purse.held = 0
                purse.begins_s = self._clock.monotonic_s()
                purse.ends_s = ends_s
            purse.held += amount
            purse.told = _UNTOLD

    def _short(self, backend_id: int, amounts: Mapping[UsageKind, int]) -> dict[UsageKind, int]:
        """What has to be leased first."""
        now_s = self._clock.monotonic_s()
        short = {}
        for kind, amount in amounts.items():
            if (backend_id, kind) in self._limits:
                purse = self._purses[backend_id, kind]
                if amount > (purse.held if now_s < purse.ends_s else 0):
                    short[kind] = amount
        return short

    def _refused(self, backend_id: int, short: Mapping[UsageKind, int]) -> UsageKind | None:
        now_s = self._clock.monotonic_s()
        for kind, amount in short.items():
            purse = self._purses[backend_id, kind]
            if now_s < purse.refused_until_s and amount > purse.refused_above:
                return kind
        return None

    def _allows(self, backend_id: int, amounts: Mapping[UsageKind, int]) -> bool:
        with self._lock:
            return self._refused(backend_id, self._short(backend_id, amounts)) is None

    def _use(self, backend_id: int, amounts: Mapping[UsageKind, int]) -> None:
        for kind, amount in amounts.items():
            account = (backend_id, kind)
            if account in self._limits:
                self._purses[account].held -= amount
            else:
                self._counted[account] = self._counted.get(account, 0) + amount

    def _over_limit(self, backend_id: int, name: BackendName, kind: UsageKind) -> BackendOverLimit:
        resets_at_s = self._purses[backend_id, kind].resets_at_s
        return BackendOverLimit(
            backend=name, kind=kind.value, resets_in_s=max(1.0, resets_at_s - self._clock.monotonic_s())
        )


class BackendMeter:
    """The account of one backend (`engine.backends.layers.metering.Meter`)."""

    def __init__(self, allowances: Allowances, backend_id: int, name: BackendName) -> None:
        self._allowances = allowances
        self._backend_id = backend_id
        self._name = name

    def spend(self, amounts: Mapping[UsageKind, int], /, *, nowait: bool = False) -> float:
        return self._allowances.spend(self._backend_id, self._name, amounts, nowait=nowait)

    def give_back(self, amounts: Mapping[UsageKind, int], /, *, spent_at_s: float) -> None:
        self._allowances.give_back(self._backend_id, amounts, spent_at_s=spent_at_s)

    def count(self, amounts: Mapping[UsageKind, int], /) -> None:
        self._allowances.count(self._backend_id, amounts)

    def before_request(self, kind: UsageKind, /) -> None:
        if kind is UsageKind.DELETE_REQUESTS:
            self.count({kind: 1})
        else:
            self.spend({kind: 1})

    def may_probe(self) -> bool:
        return self._allowances.may_probe(self._backend_id)
