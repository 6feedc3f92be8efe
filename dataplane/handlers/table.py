"""Which handler answers which operation, each behind the question whose bucket it is."""

from collections.abc import Callable, Mapping

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.attributes import AttributesHandlers
from dataplane.handlers.bucket_documents import (
    CORS,
    OWNERSHIP,
    PUBLIC_ACCESS,
    TAGGING,
    BucketDocumentHandlers,
    DocumentForm,
)
from dataplane.handlers.buckets import BucketHandlers
from dataplane.handlers.copying import CopyHandlers
from dataplane.handlers.listings import ListingHandlers
from dataplane.handlers.long_work import LongWork
from dataplane.handlers.multipart import MultipartHandlers
from dataplane.handlers.notifications import NotificationHandlers
from dataplane.handlers.objects import ObjectHandlers
from dataplane.handlers.ownership import Ownership
from dataplane.handlers.part_copying import PartCopyHandlers
from dataplane.handlers.posting import PostHandlers
from dataplane.handlers.tagging import TaggingHandlers
from dataplane.handlers.unset import ObjectAclHandlers, bucket_handlers
from engine.deployment.use_cases import UseCases
from engine.errors import NoSuchKey

Handler = Callable[[Exchange, Response], None]

_DOCUMENTS: Mapping[str, DocumentForm] = {
    "BucketCors": CORS,
    "BucketOwnershipControls": OWNERSHIP,
    "BucketTagging": TAGGING,
    "PublicAccessBlock": PUBLIC_ACCESS,
}
"""Documents that are kept, by their name in the operations' names."""


def handler_table(use: UseCases, *, region: str) -> Mapping[str, Handler]:
    """The handler of every served operation by the operation's name; a test holds it against the route table."""
    ownership = Ownership(use.buckets)
    buckets = BucketHandlers(use.buckets, region)
    objects = ObjectHandlers(use.reader, use.writer, use.remover, use.parts)
    copies = CopyHandlers(use.reader, use.copier, ownership)
    part_copies = PartCopyHandlers(use.reader, use.part_copier, ownership)
    attributes = AttributesHandlers(use.reader, use.parts)
    listings = ListingHandlers(use.listings)
    acls = ObjectAclHandlers(use.reader)
    multipart = MultipartHandlers(use.multipart, LongWork())
    tags = TaggingHandlers(use.reader, use.tagger)
    notifications = NotificationHandlers(use.documents, use.notification_targets)
    of_own_buckets: Mapping[str, Handler] = {
        "HeadBucket": buckets.head_bucket,
        "DeleteBucket": buckets.delete_bucket,
        "GetBucketLocation": buckets.get_bucket_location,
        "ListObjects": listings.list_objects,
        "ListObjectsV2": listings.list_objects_v2,
        "ListObjectVersions": listings.list_object_versions,
        "GetBucketVersioning": buckets.get_bucket_versioning,
        "PutBucketVersioning": buckets.put_bucket_versioning,
        "GetBucketNotificationConfiguration": notifications.get,
        "PutBucketNotificationConfiguration": notifications.put,
        "DeleteObjects": objects.delete_objects,
        "PutObject": objects.put_object,
        "PostObject": PostHandlers(use.writer).post_object,
        "DeleteObject": objects.delete_object,
        "CopyObject": copies.copy_object,
        "CreateMultipartUpload": multipart.create,
        "UploadPart": multipart.upload_part,
        "UploadPartCopy": part_copies.upload_part_copy,
        "CompleteMultipartUpload": multipart.complete,
        "AbortMultipartUpload": multipart.abort,
        "ListParts": multipart.list_parts,
        "ListMultipartUploads": multipart.list_uploads,
        "GetObjectTagging": tags.get,
        "PutObjectTagging": tags.put,
        "DeleteObjectTagging": tags.delete,
        **_document_handlers(use),
        **bucket_handlers(),
    }
    # A read finds the bucket's row beside the version's, and asks it there: no second look-up on the hot path.
    reads: Mapping[str, Handler] = {
        "GetObject": objects.get_object,
        "HeadObject": objects.head_object,
        "GetObjectAttributes": attributes.get_object_attributes,
        "GetObjectAcl": acls.get,
        "PutObjectAcl": acls.put,
    }
    return {
        "ListBuckets": buckets.list_buckets,
        "CreateBucket": buckets.create_bucket,
        **{name: _behind(ownership, handler) for name, handler in of_own_buckets.items()},
        **{name: _silent_about_others(ownership, handler) for name, handler in reads.items()},
    }


def _document_handlers(use: UseCases) -> Mapping[str, Handler]:
    handlers: dict[str, Handler] = {}
    for name, form in _DOCUMENTS.items():
        made = BucketDocumentHandlers(use.documents, form)
        handlers |= {f"Get{name}": made.get, f"Put{name}": made.put, f"Delete{name}": made.delete}
    return handlers


def _behind(ownership: Ownership, handler: Handler) -> Handler:
    def handle(exchange: Exchange, resp: Response) -> None:
        exchange.own_bucket = ownership.require(exchange, exchange.bucket)
        handler(exchange, resp)

    return handle


def _silent_about_others(ownership: Ownership, handler: Handler) -> Handler:
    """A key that is missing in somebody else's bucket is denied like one that is there."""

    def handle(exchange: Exchange, resp: Response) -> None:
        try:
            handler(exchange, resp)
        except NoSuchKey:
            ownership.require(exchange, exchange.bucket)
            raise

    return handle
