"""Replication that was asked for, made of what a stored request says."""

from collections.abc import Mapping
from typing import cast

from controlplane.integrity import heal_policy, integrity_parts
from engine.deployment.process import OpenDeployment
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.repairs import RepairKind
from engine.names import bucket_name
from engine.upkeep.long_work import Fence, Json, LongWork, Pace
from engine.upkeep.prefix_healing import PrefixHealing
from engine.upkeep.replication_works import ObjectHealing, ObjectOrder, ReplicationRun

RUN_REPLICATION = "penstock.admin.v1.ReplicationService/RunReplication"
CLEAN_EXCESS_COPIES = "penstock.admin.v1.ReplicationService/CleanExcessCopies"
HEAL_PREFIX = "penstock.admin.v1.HealService/HealPrefix"
HEAL_OBJECT = "penstock.admin.v1.ReplicationService/HealObject"

REPLICATOR = "replicator"
"""Worker whose `rate_bytes` all that makes copies shares."""

Request = Mapping[str, Json]


def run_replication(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    policy = heal_policy(deployment.snapshot.live.storage)
    return ReplicationRun(integrity_parts(deployment), policy, fence=fence, pace=pace)


def clean_excess_copies(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    policy = heal_policy(deployment.snapshot.live.storage)
    kinds = frozenset({RepairKind.TRIM})
    return ReplicationRun(integrity_parts(deployment), policy, fence=fence, pace=pace, kinds=kinds)


def heal_prefix(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    return PrefixHealing(
        integrity_parts(deployment),
        heal_policy(deployment.snapshot.live.storage),
        bucket=OwnBucket(
            name=bucket_name(cast(str, request["bucket"])), bucket_id=cast(int, request["bucket_id"])
        ),
        prefix=cast(str, request["prefix"]).encode("utf-8"),
        fence=fence,
        pace=pace,
    )


def heal_object(deployment: OpenDeployment, request: Request, fence: Fence, pace: Pace) -> LongWork:
    order = ObjectOrder(
        bucket=cast(str, request["bucket"]),
        key=cast(str, request["key"]).encode("utf-8"),
        version_id=cast(str, request["version_id"]),
        version_seq=cast(int, request["version_seq"]),
    )
    policy = heal_policy(deployment.snapshot.live.storage)
    return ObjectHealing(integrity_parts(deployment), policy, order, fence=fence, pace=pace)
