"""Metadata stores for tests, a clock that only the test moves, and the few rows that most tests begin with."""

from functools import partial
from pathlib import Path

from engine.clock import Clock, SystemClock
from engine.metadata import accounts, buckets
from engine.metadata.backends import ensure_backend
from engine.metadata.sqlite.store import SqliteStore
from engine.metadata.store import Store
from engine.names import BackendName, bucket_name
from engine.records import Bucket, Origin

START_US = 1_800_000_000_000_000
DATABASE = "meta.db"


class SetClock(SystemClock):
    """A wall clock that stands still until a test moves it; monotonic time runs as ever."""

    def __init__(self, now_us: int = START_US) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def move(self, seconds: float) -> None:
        """Forwards, or backwards when negative."""
        self._now_us += int(seconds * 1_000_000)


def open_sqlite(folder: Path, *, clock: Clock | None = None) -> SqliteStore:
    """Open the database of a folder, made at the first time. Whoever opens it closes it."""
    return SqliteStore(folder / DATABASE, clock=clock)


def make_account(store: Store, name: str = "main") -> int:
    """The account's id."""
    return store.write(partial(accounts.ensure_account, name=name, origin=Origin.CONFIG))


def make_bucket(store: Store, name: str = "photos", *, quota_bytes: int | None = None) -> Bucket:
    """A bucket of the account `main`."""
    account_id = make_account(store)
    return store.write(
        partial(
            buckets.create_bucket,
            name=bucket_name(name),
            account_id=account_id,
            origin=Origin.API,
            quota_bytes=quota_bytes,
        )
    )


def make_backend(
    store: Store, name: str = "near", *, kind: str = "volume", quota_bytes: int | None = None
) -> int:
    """The backend's id."""
    return store.write(
        partial(
            ensure_backend,
            name=BackendName(name),
            kind=kind,
            node="node-1" if kind == "volume" else None,
            failure_domain=name,
            identity_id=name.encode().ljust(16, b"-"),
            quota_bytes=quota_bytes,
        )
    )
