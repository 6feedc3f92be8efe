"""Reading and writing ListBucketUsage: since when, and what was asked of which buckets, page by page."""

from dataclasses import dataclass

from penstock.admin.v1 import usage_service_pb2 as pb

from controlplane.fields import read_page_size, read_page_token
from controlplane.services.usage_history import read_position, read_window
from engine.metadata import bucket_usage
from engine.metadata.bucket_settings import resource_name
from engine.metadata.bucket_usage import CountedBucket, SummedUse
from engine.metadata.store import Tx
from engine.metadata.usage_history import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """`window_us` 0: this month."""

    window_us: int
    page_size: int
    after: CountedBucket


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPage:
    """`position` is what the rest is behind, null at the end."""

    usages: list[pb.BucketUsage]
    position: str | None
    since_us: int


def read_listing(request: pb.ListBucketUsageRequest) -> Listing:
    after = read_position(read_page_token(request.page_token))
    return Listing(
        window_us=read_window(request.window),
        page_size=read_page_size(request.page_size),
        after=CountedBucket(*(after or ("", 0))),
    )


def list_page(tx: Tx, asked: Listing) -> ListedPage:
    since_us = (
        Step.DAY.start_of(tx.now_us() - asked.window_us)
        if asked.window_us
        else bucket_usage.month_since_us(tx)
    )
    found = bucket_usage.list_sums(tx, since_us=since_us, after=asked.after, count_max=asked.page_size + 1)
    shown = found[: asked.page_size]
    last = shown[-1].bucket if len(found) > len(shown) else None
    return ListedPage(
        usages=[_write(each) for each in shown],
        position=None if last is None else f"{last.name} {last.bucket_id}",
        since_us=since_us,
    )


def _write(seen: SummedUse) -> pb.BucketUsage:
    return pb.BucketUsage(
        bucket=resource_name(seen.bucket.name),
        write_request_count=seen.use.write_request_count,
        read_request_count=seen.use.read_request_count,
        delete_request_count=seen.use.delete_request_count,
        egress_bytes=seen.use.egress_bytes,
        ingress_bytes=seen.use.ingress_bytes,
        stored_bytes=seen.stored_bytes,
        deleted=not seen.is_there,
    )
