"""What clients asked of buckets, by the hour and by the day by UTC: told by processes in blocks, and added up."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, cast

from engine.errors import NoSuchBucket
from engine.metadata import quota, usage_history
from engine.metadata.month_usage import month_of
from engine.metadata.store import Row, SqlValue, Tx
from engine.metadata.usage_history import Step, UsedInStep
from engine.names import BucketName
from engine.records import ClientUse, UsageKind


class NamedBucket(NamedTuple):
    """A bucket as clients named it, whose account was `account_id`."""

    name: str
    account_id: int


class CountedBucket(NamedTuple):
    """A bucket of which requests were counted; it may be gone, and its name be another one's by now."""

    name: str
    bucket_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SummedUse:
    """What was asked of a bucket. `stored_bytes` is what lies there now."""

    bucket: CountedBucket
    is_there: bool
    use: ClientUse
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredContents:
    """Requests that stored the content of objects and parts, and bytes that all requests sent."""

    request_count: int
    ingress_bytes: int


def add(
    tx: Tx, counted: Mapping[NamedBucket, ClientUse], *, known: Mapping[NamedBucket, int]
) -> dict[NamedBucket, int]:
    """Add to the hour and the day that it is now, and return which buckets are there, by number.

    `known` are the numbers of before, for buckets that are gone by now. Of a name that is in neither, or is another
    account's, nothing is told. Not to be repeated: what is added counts.
    """
    names = json.dumps(sorted({each.name for each in counted}))
    there = {
        NamedBucket(cast(str, name), cast(int, account_id)): cast(int, bucket_id)
        for name, account_id, bucket_id in tx.rows("find_bucket_ids", {"names": names})
    }
    told = {
        CountedBucket(named.name, bucket_id): use
        for named, use in counted.items()
        if (bucket_id := there.get(named, known.get(named))) is not None
    }
    # Every transaction takes rows in this order.
    buckets = sorted(told)
    totals = quota.read_quotas(tx, [quota.bucket_subject(each.bucket_id) for each in buckets])
    now_us = tx.now_us()
    tx.ask_many(
        "add_bucket_usage",
        [
            {
                **_named(bucket),
                "step": step.value,
                "starts_us": step.start_of(now_us),
                **asdict(told[bucket]),
                "stored_bytes": 0 if held is None else held.used_bytes,
            }
            for bucket, held in zip(buckets, totals, strict=True)
            for step in Step
        ],
    )
    return {named: bucket_id for named, bucket_id in there.items() if named in counted}


def find_counted(tx: Tx, name: str) -> CountedBucket:
    """The bucket of that name, or the last one that had it; raises NoSuchBucket."""
    row = tx.row_or_none("find_bucket", {"name": name})
    if row is None:
        row = tx.row("find_past_bucket", {"bucket_name": name})
    if row[0] is None:
        raise NoSuchBucket(bucket=BucketName(name))
    return CountedBucket(name, cast(int, row[0]))


def list_steps(
    tx: Tx, bucket: CountedBucket, step: Step, *, since_us: int, count_max: int
) -> Sequence[UsedInStep]:
    """Hours or days from a time on, the oldest first: those with requests, and days in which a look was taken."""
    span: dict[str, SqlValue] = {"step": step.value, "since_us": since_us, "count_max": count_max}
    found = {
        each.starts_us: each
        for each in map(_step, tx.rows("list_bucket_usage_steps", {**_named(bucket), **span}))
    }
    subject = quota.bucket_subject(bucket.bucket_id)
    for look in usage_history.list_steps(tx, subject, step, since_us=since_us, count_max=count_max):
        asked = found.get(look.starts_us)
        found[look.starts_us] = UsedInStep(
            starts_us=look.starts_us,
            used={} if asked is None else asked.used,
            stored_bytes=look.stored_bytes,
        )
    return [found[starts_us] for starts_us in sorted(found)[:count_max]]


def list_sums(tx: Tx, *, since_us: int, after: CountedBucket, count_max: int) -> list[SummedUse]:
    """Buckets of which requests were counted in the days from a time on, by name; those that are gone as well."""
    rows = tx.rows(
        "sum_bucket_usage",
        {
            "since_us": since_us,
            "after_name": after.name,
            "after_id": after.bucket_id,
            "count_max": count_max,
        },
    )
    found = [CountedBucket(cast(str, row[0]), cast(int, row[1])) for row in rows]
    totals = quota.read_quotas(tx, [quota.bucket_subject(each.bucket_id) for each in found])
    return [
        SummedUse(
            bucket=bucket,
            is_there=bool(row[2]),
            use=_use(row[3:]),
            stored_bytes=0 if held is None else held.used_bytes,
        )
        for bucket, row, held in zip(found, rows, totals, strict=True)
    ]


def sum_contents(tx: Tx) -> list[tuple[str | None, StoredContents]]:
    """What clients stored this month by UTC, by the schemes of the buckets; null: that of the deployment."""
    rows = tx.rows("sum_content_requests", {"since_us": month_since_us(tx)})
    return [(cast("str | None", row[0]), _contents(row[1:])) for row in rows]


def contents_of(tx: Tx, buckets: Sequence[CountedBucket]) -> list[StoredContents]:
    """As `sum_contents`, bucket by bucket."""
    since_us = month_since_us(tx)
    asked = [tx.ask("find_content_requests", {**_named(each), "since_us": since_us}) for each in buckets]
    return [_contents(each.row()) for each in asked]


def month_since_us(tx: Tx) -> int:
    """When this month began, by UTC."""
    return month_of(tx.now_us()).starts_us


def drop_old(tx: Tx) -> int:
    """Forget what is past its time, a bounded number of rows; how many went."""
    return usage_history.drop_past(tx, "drop_bucket_usage")


def _step(row: Row) -> UsedInStep:
    starts_us, writes, reads, deletes, egress_bytes, ingress_bytes, stored_bytes = cast(
        "tuple[int, int, int, int, int, int, int]", row
    )
    return UsedInStep(
        starts_us=starts_us,
        used={
            UsageKind.WRITE_REQUESTS: writes,
            UsageKind.READ_REQUESTS: reads,
            UsageKind.DELETE_REQUESTS: deletes,
            UsageKind.EGRESS_BYTES: egress_bytes,
            UsageKind.INGRESS_BYTES: ingress_bytes,
        },
        stored_bytes=stored_bytes,
    )


def _use(row: Row) -> ClientUse:
    writes, reads, deletes, contents, egress_bytes, ingress_bytes = cast(
        "tuple[int, int, int, int, int, int]", row
    )
    return ClientUse(
        write_request_count=writes,
        read_request_count=reads,
        delete_request_count=deletes,
        content_request_count=contents,
        egress_bytes=egress_bytes,
        ingress_bytes=ingress_bytes,
    )


def _contents(row: Row) -> StoredContents:
    request_count, ingress_bytes = cast("tuple[int, int]", row)
    return StoredContents(request_count=request_count, ingress_bytes=ingress_bytes)


def _named(bucket: CountedBucket) -> dict[str, SqlValue]:
    return {"bucket_name": bucket.name, "bucket_id": bucket.bucket_id}
