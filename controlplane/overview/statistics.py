"""What instances serve, from the rows in which they say so."""

from collections.abc import Collection
from functools import partial

from penstock.admin.v1 import stats_pb2

from engine.metadata.instance_stats import list_stats
from engine.metadata.store import Store

STATS_AGE_MAX_S = 15.0
"""What an instance said longer ago says nothing any more: it is gone, or hangs."""


def read_stats(store: Store, instances: Collection[str] = ()) -> list[stats_pb2.InstanceStats]:
    """By instance; of those named, or of all. Raises what a read raises."""
    rows = store.read(partial(list_stats, age_max_s=STATS_AGE_MAX_S))
    stats = [stats_pb2.InstanceStats.FromString(row.document) for row in rows]
    return [each for each in stats if not instances or each.instance in instances]
