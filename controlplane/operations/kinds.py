"""The kinds of long work there are, by the rpc that starts them. Whoever owns one adds a line to `KINDS`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from controlplane.operations import cleaning, deleting, integrity, replicating
from controlplane.operations.moving import build_drain, build_rebalance, build_removal
from controlplane.operations.syncing import build_sync
from engine.deployment.opening import OpenDeployment
from engine.metadata.leases import LeaseFence
from engine.upkeep.backend_states import DRAIN_METHOD, REMOVE_METHOD
from engine.upkeep.bucket_sync import SYNC_METHOD
from engine.upkeep.long_work import Json, LongWork, Pace
from engine.upkeep.rebalancing import REBALANCE_METHOD

Build = Callable[[OpenDeployment, Mapping[str, Json], LeaseFence, Pace], LongWork]
"""Makes the work of a stored request, anew for everyone who goes on with it. It may raise what ends it as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationKind:
    """`method` is the full name of the rpc, `package.Service/Method`, as `engine.metadata.operations.start` got it.

    `rate_of` names the worker whose `rate_bytes` the work shares with all others of that name in this process.
    """

    method: str
    build: Build
    rate_of: str | None = None


KINDS: Sequence[OperationKind] = (
    OperationKind(
        method=integrity.START_RECONCILE, build=integrity.start_reconcile, rate_of=integrity.SCRUBBER
    ),
    OperationKind(
        method=integrity.RESOLVE_DISCREPANCIES,
        build=integrity.resolve_discrepancies,
        rate_of=integrity.SCRUBBER,
    ),
    OperationKind(method=integrity.RUN_SCRUB, build=integrity.run_scrub, rate_of=integrity.SCRUBBER),
    OperationKind(
        method=integrity.BACKFILL_CHECKSUMS,
        build=integrity.backfill_checksums,
        rate_of=integrity.SCRUBBER,
    ),
    OperationKind(method=integrity.FSCK, build=integrity.fsck, rate_of=integrity.SCRUBBER),
    OperationKind(method=integrity.COMPACT, build=integrity.compact, rate_of="compaction"),
    OperationKind(method=integrity.RECOUNT_QUOTAS, build=integrity.recount_quotas),
    OperationKind(method=deleting.DELETE_BUCKET, build=deleting.delete_bucket),
    OperationKind(method=deleting.DELETE_PREFIX, build=deleting.delete_prefix),
    OperationKind(method=cleaning.RUN_CLEANUP, build=cleaning.run_cleanup),
    OperationKind(method=cleaning.ABORT_STALE_UPLOADS, build=cleaning.abort_stale_uploads),
    OperationKind(
        method=replicating.RUN_REPLICATION,
        build=replicating.run_replication,
        rate_of=replicating.REPLICATOR,
    ),
    OperationKind(
        method=replicating.HEAL_OBJECT, build=replicating.heal_object, rate_of=replicating.REPLICATOR
    ),
    OperationKind(
        method=replicating.CLEAN_EXCESS_COPIES,
        build=replicating.clean_excess_copies,
        rate_of=replicating.REPLICATOR,
    ),
    OperationKind(
        method=replicating.HEAL_PREFIX, build=replicating.heal_prefix, rate_of=replicating.REPLICATOR
    ),
    OperationKind(method=DRAIN_METHOD, build=build_drain, rate_of="drainer"),
    OperationKind(method=REMOVE_METHOD, build=build_removal),
    OperationKind(method=SYNC_METHOD, build=build_sync),
    OperationKind(method=REBALANCE_METHOD, build=build_rebalance, rate_of="rebalancer"),
)


def by_method(kinds: Sequence[OperationKind]) -> Mapping[str, OperationKind]:
    """Raises ValueError for two of one method."""
    found = {kind.method: kind for kind in kinds}
    if len(found) != len(kinds):
        raise ValueError("two kinds of operations have one method")
    return found
