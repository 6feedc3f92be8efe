"""The operations of S3 that are not built: each answers 501 NotImplemented under its own name."""

from dataplane.wire.operations import Kind, Operation
from dataplane.wire.served_operations import VERBS

_BUCKET_DOCUMENTS: tuple[tuple[str, str, str], ...] = (
    # Sub-resource, name in the operations' names, methods that exist.
    ("abac", "BucketAbac", "GET PUT"),
    ("encryption", "BucketEncryption", "PUT"),
    ("lifecycle", "BucketLifecycleConfiguration", "PUT"),
    ("metadataConfiguration", "BucketMetadataConfiguration", "GET DELETE"),
    ("metadataTable", "BucketMetadataTableConfiguration", "GET DELETE"),
    ("object-lock", "ObjectLockConfiguration", "PUT"),
    ("policy", "BucketPolicy", "PUT"),
    ("replication", "BucketReplication", "PUT"),
    ("website", "BucketWebsite", "PUT"),
)
_NUMBERED_DOCUMENTS: tuple[tuple[str, str], ...] = (
    ("analytics", "BucketAnalyticsConfiguration"),
    ("intelligent-tiering", "BucketIntelligentTieringConfiguration"),
    ("inventory", "BucketInventoryConfiguration"),
    ("metrics", "BucketMetricsConfiguration"),
)
_OBJECT_DOCUMENTS: tuple[tuple[str, str, str], ...] = (
    ("legal-hold", "ObjectLegalHold", "GET PUT"),
    ("retention", "ObjectRetention", "GET PUT"),
    ("torrent", "ObjectTorrent", "GET"),
)
_SINGLE: tuple[tuple[str, str, Kind, str], ...] = (
    ("CreateBucketMetadataConfiguration", "POST", Kind.BUCKET, "metadataConfiguration"),
    ("CreateBucketMetadataTableConfiguration", "POST", Kind.BUCKET, "metadataTable"),
    ("CreateSession", "GET", Kind.BUCKET, "session"),
    ("UpdateBucketMetadataAnnotationTableConfiguration", "PUT", Kind.BUCKET, "metadataAnnotationTable"),
    ("UpdateBucketMetadataInventoryTableConfiguration", "PUT", Kind.BUCKET, "metadataInventoryTable"),
    ("UpdateBucketMetadataJournalTableConfiguration", "PUT", Kind.BUCKET, "metadataJournalTable"),
    ("DeleteObjectAnnotation", "DELETE", Kind.OBJECT, "annotation&annotationName"),
    ("GetObjectAnnotation", "GET", Kind.OBJECT, "annotation&annotationName"),
    ("ListObjectAnnotations", "GET", Kind.OBJECT, "annotation"),
    ("PutObjectAnnotation", "PUT", Kind.OBJECT, "annotation&annotationName"),
    ("RenameObject", "PUT", Kind.OBJECT, "renameObject"),
    ("RestoreObject", "POST", Kind.OBJECT, "restore"),
    ("SelectObjectContent", "POST", Kind.OBJECT, "select&select-type"),
    ("UpdateObjectEncryption", "PUT", Kind.OBJECT, "encryption"),
)


def _documents(kind: Kind, rows: tuple[tuple[str, str, str], ...]) -> list[Operation]:
    return [
        Operation(name=VERBS[method] + name, method=method, kind=kind, selector=sub_resource)
        for sub_resource, name, methods in rows
        for method in methods.split()
    ]


def _numbered() -> list[Operation]:
    operations = []
    for sub_resource, name in _NUMBERED_DOCUMENTS:
        by_id = "&".join(sorted(("id", sub_resource)))
        operations += [
            Operation(name=verb + name, method=method, kind=Kind.BUCKET, selector=by_id)
            for method, verb in VERBS.items()
        ]
        operations.append(
            Operation(name=f"List{name}s", method="GET", kind=Kind.BUCKET, selector=sub_resource)
        )
    return operations


REFUSED = (
    *_documents(Kind.BUCKET, _BUCKET_DOCUMENTS),
    *_numbered(),
    *_documents(Kind.OBJECT, _OBJECT_DOCUMENTS),
    *(Operation(name=name, method=method, kind=kind, selector=sub) for name, method, kind, sub in _SINGLE),
)

SAME_ON_THE_WIRE = {
    "ListDirectoryBuckets": "ListBuckets",
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
"""Operations whose requests cannot be told from another's: directory buckets differ by host, the rest by age."""
