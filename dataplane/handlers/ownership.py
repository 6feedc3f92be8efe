"""Buckets belong to accounts, and only their own account's identities get past this."""

from dataplane.exchange import Exchange
from dataplane.wire.refusals import AccessDenied
from engine.names import BucketName
from engine.objects.buckets import Buckets
from engine.records import Bucket


class Ownership:
    """Asked once a request, in the database: a bucket may go and come back as somebody else's at any time."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def require(self, exchange: Exchange, bucket: BucketName) -> Bucket:
        """The caller's own bucket. Raises NoSuchBucket, and AccessDenied for one of another account."""
        found = self._buckets.get(bucket)
        require_own(exchange, found)
        return found


def require_own(exchange: Exchange, bucket: Bucket) -> None:
    """Raises AccessDenied for a bucket of another account than the caller's."""
    if bucket.account_id != exchange.identity.account_id:
        raise AccessDenied
