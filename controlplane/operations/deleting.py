"""The long works that delete objects and buckets, made of what a stored request says."""

from collections.abc import Mapping
from typing import cast

from engine.deployment.process import OpenDeployment
from engine.names import bucket_name
from engine.upkeep.long_work import Fence, Json, LongWork, Pace
from engine.upkeep.prefix_deletion import BucketDeletion, PrefixDeletion

DELETE_PREFIX = "penstock.admin.v1.ObjectService/DeletePrefix"
DELETE_BUCKET = "penstock.admin.v1.BucketService/DeleteBucket"


def delete_prefix(
    deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace
) -> LongWork:
    return PrefixDeletion(
        deployment.store,
        fence=fence,
        bucket=bucket_name(cast(str, request["bucket"])),
        bucket_id=cast(int, request["bucket_id"]),
        prefix=cast(str, request["prefix"]).encode(),
        all_versions=cast(bool, request["all_versions"]),
        up_to_seq=cast(int, request["up_to_seq"]),
    )


def delete_bucket(
    deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace
) -> LongWork:
    return BucketDeletion(
        deployment.store,
        fence=fence,
        bucket=bucket_name(cast(str, request["bucket"])),
        bucket_id=cast(int, request["bucket_id"]),
    )
