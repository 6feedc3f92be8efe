"""The long works that clean up, made of what a stored request says."""

from collections.abc import Mapping
from typing import cast

from engine.deployment.process import OpenDeployment
from engine.metadata.leases import LeaseFence
from engine.upkeep.cleanup_run import CleanupRun
from engine.upkeep.long_work import Fence, Json, LongWork, Pace
from engine.upkeep.stale_uploads import StaleUploads

RUN_CLEANUP = "penstock.admin.v1.CleanupService/RunCleanup"
ABORT_STALE_UPLOADS = "penstock.admin.v1.CleanupService/AbortStaleUploads"


def run_cleanup(
    deployment: OpenDeployment, request: Mapping[str, Json], fence: LeaseFence, pace: Pace
) -> LongWork:
    return CleanupRun(
        deployment.store,
        deployment.backends,
        fence=fence,
        process_id=deployment.process_id,
        clock=deployment.clock,
        ignore_grace=bool(request["now"]),
    )


def abort_stale_uploads(
    deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace
) -> LongWork:
    return StaleUploads(deployment.store, fence=fence, before_us=cast(int, request["before_us"]))
