"""Rates of requests: token buckets by client address and by credential, in tables of bounded size."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus

from dataplane.wire.forwarded import client_network
from dataplane.wire.refusals import S3Fault, WireError

BUCKET_COUNT_MAX = 10_000
"""Of one table; who has asked for nothing for the longest time is forgotten first."""
BURST_S = 2.0
"""A bucket holds what its rate brings in so many seconds, and one request at least."""


class RateLimited(WireError):
    """Too many requests of one client; the same request may come again after `wait_s`."""

    fault = S3Fault("SlowDown", HTTPStatus.SERVICE_UNAVAILABLE)

    def __init__(self, *, wait_s: float) -> None:
        super().__init__("Please reduce your request rate.")
        self.headers = {"Retry-After": str(max(1, math.ceil(wait_s)))}


class Limited(Enum):
    """What a rate is counted by."""

    ADDRESS = "address"
    CREDENTIAL = "credential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests a second that one process lets through; null for no limit."""

    per_address_s: float | None = None
    per_credential_s: float | None = None


class TokenBuckets:
    """One bucket a name. Safe for many threads; never waits."""

    def __init__(
        self, rate_s: float, *, now_s: Callable[[], float], count_max: int = BUCKET_COUNT_MAX
    ) -> None:
        self.rate_s = rate_s
        self._most = max(1.0, rate_s * BURST_S)
        self._now_s = now_s
        self._count_max = count_max
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: str) -> float:
        """0 when a request may pass, else the seconds until one may; what is refused costs nothing."""
        now_s = self._now_s()
        with self._lock:
            left, at_s = self._buckets.pop(name, (self._most, now_s))
            left = min(self._most, left + max(0.0, now_s - at_s) * self.rate_s)
            passes = left >= 1.0
            self._buckets[name] = (left - 1.0 if passes else left, now_s)
            if len(self._buckets) > self._count_max:
                self._buckets.popitem(last=False)
        return 0.0 if passes else (1.0 - left) / self.rate_s

    def give_back(self, name: str) -> None:
        """Undo a `take` that let its request pass."""
        with self._lock:
            known = self._buckets.get(name)
            if known is not None:
                self._buckets[name] = (min(self._most, known[0] + 1.0), known[1])


class RateLimits:
    """Lets requests through or raises RateLimited, and counts what it refused."""

    def __init__(self, rates: Rates, *, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._by_address: TokenBuckets | None = None
        self._by_credential: TokenBuckets | None = None
        self._lock = threading.Lock()
        self._refused = dict.fromkeys(Limited, 0)
        self.limit(rates)

    def limit(self, rates: Rates) -> None:
        """These are the rates from now on. Where one is another, its clients begin anew with full buckets."""
        self._by_address = self._buckets_of(self._by_address, rates.per_address_s)
        self._by_credential = self._buckets_of(self._by_credential, rates.per_credential_s)

    def refused_count(self, by: Limited) -> int:
        return self._refused[by]

    def pass_address(self, address: str) -> None:
        """Before anything is believed of a request."""
        buckets = self._by_address
        if buckets is not None:
            self._take(buckets, client_network(address), Limited.ADDRESS)

    def pass_credential(self, access_key_id: str) -> None:
        """Only for a proven credential: nobody spends another's share with a wrong signature."""
        buckets = self._by_credential
        if buckets is not None:
            self._take(buckets, access_key_id, Limited.CREDENTIAL)

    def give_back(self, *, address: str, access_key_id: str) -> None:
        """For a request that passed and will come once more. Without a proven credential `access_key_id` is empty."""
        by_address, by_credential = self._by_address, self._by_credential
        if by_address is not None:
            by_address.give_back(client_network(address))
        if by_credential is not None and access_key_id:
            by_credential.give_back(access_key_id)

    def _buckets_of(self, before: TokenBuckets | None, rate_s: float | None) -> TokenBuckets | None:
        if before is not None and before.rate_s == rate_s:
            return before
        return None if rate_s is None else TokenBuckets(rate_s, now_s=self._now_s)

    def _take(self, buckets: TokenBuckets, name: str, by: Limited) -> None:
        wait_s = buckets.take(name)
        if wait_s > 0.0:
            with self._lock:
                self._refused[by] += 1
            raise RateLimited(wait_s=wait_s)
