"""Leases: one leader per worker over all instances, with a fencing token that each of its writes checks."""

from dataclasses import dataclass
from typing import cast

from engine.errors import LeaseLost
from engine.metadata.store import SqlValue, Tx
from engine.records import Lease


@dataclass(frozen=True, slots=True)
class LeaseFence:
    """Checks a lease in the transaction of every write made under it; raises LeaseLost, which rolls the write back."""

    lease: Lease

    def __call__(self, tx: Tx) -> None:
        check(tx, self.lease)


def acquire(tx: Tx, *, worker: str, holder: bytes, ttl_s: float) -> Lease | None:
    """Lead a worker if nobody does; null while somebody holds an unexpired lease."""
    tx.run("insert_lease", {"worker": worker})
    expires_at_us = tx.now_us() + int(ttl_s * 1_000_000)
    row = tx.row_or_none(
        "acquire_lease",
        {"worker": worker, "holder": holder, "expires_at_us": expires_at_us, "now_us": tx.now_us()},
    )
    if row is None:
        return None
    return Lease(worker=worker, holder=holder, token=cast(int, row[0]), expires_at_us=expires_at_us)


def renew(tx: Tx, lease: Lease, *, ttl_s: float) -> Lease:
    """The same lease for longer; raises LeaseLost when it expired or somebody else holds it."""
    expires_at_us = tx.now_us() + int(ttl_s * 1_000_000)
    changed = tx.run(
        "renew_lease",
        {
            "worker": lease.worker,
            "holder": lease.holder,
            "token": lease.token,
            "expires_at_us": expires_at_us,
            "now_us": tx.now_us(),
        },
    )
    if not changed:
        raise LeaseLost(f"the lease of {lease.worker} is somebody else's")
    return Lease(worker=lease.worker, holder=lease.holder, token=lease.token, expires_at_us=expires_at_us)


def check(tx: Tx, lease: Lease) -> None:
    """In the transaction of every write of a worker; raises LeaseLost, which rolls the write back."""
    params: dict[str, SqlValue] = {
        "worker": lease.worker,
        "holder": lease.holder,
        "token": lease.token,
        "now_us": tx.now_us(),
    }
    # Held until the commit: who takes the lease over waits for it.
    tx.lock("lock_lease_shared", {"worker": lease.worker})
    if tx.row_or_none("check_lease", params) is None:
        raise LeaseLost(f"the lease of {lease.worker} is somebody else's")


def list_held(tx: Tx) -> list[tuple[str, bytes]]:
    """What is led now, workers and operations alike, and by which process."""
    rows = tx.rows("list_held_leases", {"now_us": tx.now_us()})
    return [(cast(str, worker), cast(bytes, holder)) for worker, holder in rows]


def forget(tx: Tx, worker: str) -> None:
    """Nobody will ever lead this again: what it names has ended, and its name is never used anew."""
    tx.run("delete_lease", {"worker": worker})


def release_all(tx: Tx, holder: bytes) -> int:
    """Let others lead whatever a process did that is known to be gone; how many leases that were."""
    return tx.run("release_leases_of", {"holder": holder})


def release(tx: Tx, lease: Lease) -> None:
    """Let somebody else lead; harmless when the lease is lost already."""
    tx.run("release_lease", {"worker": lease.worker, "holder": lease.holder, "token": lease.token})
