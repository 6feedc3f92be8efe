"""Taking over what lies in a backend's bucket, made of what a stored request says."""

import threading
from collections.abc import Mapping
from typing import cast

from engine.backends.registry import s3_in
from engine.backends.s3.place import S3Place
from engine.clock import uuid7
from engine.deployment.opening import OpenDeployment
from engine.errors import BackendUnavailable
from engine.metadata.bucket_settings import OwnBucket
from engine.metadata.importing import Importable, Stand
from engine.names import BackendName, bucket_name
from engine.upkeep.bucket_sync import BucketSync, SyncOrder
from engine.upkeep.long_work import Fence, Json, LongWork, Pace


def build_sync(deployment: OpenDeployment, request: Mapping[str, Json], fence: Fence, pace: Pace) -> LongWork:
    """Raises BackendUnavailable for a backend that is not here, or not of kind `s3` any more."""
    backend_id = cast(int, request["backend_id"])
    source = deployment.backends.get(backend_id)
    store = s3_in(source)
    if store is None:
        raise BackendUnavailable("not of kind s3", backend=str(backend_id))
    bucket = OwnBucket(
        name=bucket_name(cast(str, request["bucket"])), bucket_id=cast(int, request["bucket_id"])
    )

    one_at_a_time = threading.Lock()

    def before_bytes(size_bytes: int) -> None:
        # Objects are copied side by side, and a pace is for one thread.
        with one_at_a_time:
            pace.take(size_bytes)

    def copy_in(each: Importable) -> Stand:
        importer = deployment.use.importer
        return importer.copy(source, each, bucket, fence=fence, before_bytes=before_bytes)

    order = SyncOrder(
        backend=BackendName(str(request["name"]).removeprefix("backends/")),
        backend_id=backend_id,
        backend_ids=() if request["copy"] else _in_the_same_bucket(deployment, store.objects.place),
        bucket=bucket,
        prefix=cast(str, request["prefix"]),
        is_dry_run=bool(request["dry_run"]),
        copies_in=copy_in if request["copy"] else None,
    )
    return BucketSync(deployment.store, store.objects, order, fence=fence, ids=uuid7)


def _in_the_same_bucket(deployment: OpenDeployment, place: S3Place) -> list[int]:
    """Backends that lie there, below whatever prefix."""
    found = [s3_in(each) for each in deployment.backends]
    return [
        each.backend_id
        for each in found
        if each is not None
        and (each.objects.place.endpoint, each.objects.place.bucket) == (place.endpoint, place.bucket)
    ]
