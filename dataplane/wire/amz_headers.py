"""Every x-amz-* header S3 knows: read somewhere, without meaning here, or refused by name; none is passed over."""

from collections.abc import Mapping

from dataplane.wire.checksums import CHECKSUM_FIELDS, SDK_ALGORITHM_FIELD, UNBUILT_CHECKSUM_FIELDS
from dataplane.wire.conditions import MODIFIED_FIELD, SIZE_FIELD
from dataplane.wire.copy_source import COPY_RANGE_FIELD
from dataplane.wire.operations import Operation
from dataplane.wire.refusals import (
    AccessControlListNotSupported,
    AccessDenied,
    InvalidArgument,
    InvalidEncryptionAlgorithm,
    InvalidRequest,
    NotImplementedYet,
)
from dataplane.wire.routes import COPY_SOURCE_FIELD

_ONLY_WITH = {
    MODIFIED_FIELD: "DeleteObject",
    SIZE_FIELD: "DeleteObject",
    COPY_RANGE_FIELD: "UploadPartCopy",
}
"""Headers that one operation heeds; beside another they would promise what is not kept."""

READ = frozenset(
    {
        *CHECKSUM_FIELDS,
        COPY_SOURCE_FIELD,
        SDK_ALGORITHM_FIELD,
        "x-amz-acl",
        "x-amz-bucket-object-lock-enabled",
        "x-amz-checksum-algorithm",
        "x-amz-checksum-mode",
        "x-amz-checksum-type",
        "x-amz-content-sha256",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-unmodified-since",
        COPY_RANGE_FIELD,
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-expected-bucket-owner",
        "x-amz-max-parts",
        "x-amz-metadata-directive",
        MODIFIED_FIELD,
        SIZE_FIELD,
        "x-amz-mp-object-size",
        "x-amz-object-attributes",
        "x-amz-object-ownership",
        "x-amz-part-number-marker",
        "x-amz-security-token",
        "x-amz-server-side-encryption",
        "x-amz-source-expected-bucket-owner",
        "x-amz-storage-class",
        "x-amz-tagging",
        "x-amz-tagging-directive",
        "x-amz-trailer",
    }
)
"""Headers that change what a request does; whoever serves the operation reads them."""

HARMLESS = frozenset(
    {
        # The caller agrees to pay, and nobody asks it to.
        "x-amz-request-payer",
        # Destinations are webhooks that the operator named: none is tried before the document is taken.
        "x-amz-skip-destination-validation",
        # Asks for the state of restores, and nothing here was ever archived.
        "x-amz-optional-object-attributes",
    }
)
"""Headers whose meaning holds here without doing anything."""

REFUSED = frozenset(
    {
        *UNBUILT_CHECKSUM_FIELDS,
        "x-amz-bucket-namespace",
        "x-amz-bypass-governance-retention",
        "x-amz-copy-source-server-side-encryption-customer-algorithm",
        "x-amz-copy-source-server-side-encryption-customer-key",
        "x-amz-copy-source-server-side-encryption-customer-key-md5",
        "x-amz-if-match-initiated-time",
        "x-amz-mfa",
        "x-amz-object-annotation-directive",
        "x-amz-object-lock-event-hold",
        "x-amz-object-lock-event-hold-duration-days",
        "x-amz-object-lock-event-hold-duration-years",
        "x-amz-object-lock-legal-hold",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-retain-until-date",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-server-side-encryption-bucket-key-enabled",
        "x-amz-server-side-encryption-context",
        "x-amz-server-side-encryption-customer-algorithm",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-customer-key-md5",
        "x-amz-website-redirect-location",
        "x-amz-write-offset-bytes",
    }
)
"""Headers that ask for what is not built: 501 NotImplemented under their names."""

GRANTS = frozenset(
    f"x-amz-grant-{right}" for right in ("full-control", "read", "read-acp", "write", "write-acp")
)
"""Access control lists beyond the owner's: 400 AccessControlListNotSupported, as S3 answers with enforced ownership."""

_OWNER_ACLS = frozenset({"private", "bucket-owner-full-control"})
_OTHER_ACLS = frozenset(
    {
        "authenticated-read",
        "aws-exec-read",
        "bucket-owner-read",
        "log-delivery-write",
        "public-read",
        "public-read-write",
    }
)
_OWNERS = frozenset({"x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"})
_SSE_ALGORITHMS = frozenset({"AES256", "aws:kms", "aws:kms:dsse", "aws:fsx", "aws:backup"})


def check_amz_headers(operation: Operation, headers: Mapping[str, str], *, account: str) -> None:
    """Refuse by name what a header asks for and nobody would do, and a bucket's owner that is not `account`.

    Only the owning account reaches a bucket at all, so the owner a client expects is the caller's own.
    Headers that S3 does not know either are ignored, as S3 does; they had to be signed like all of x-amz-*.
    Raises WireError.
    """
    for name, value in headers.items():
        if name in _UNASKED or not name.startswith("x-amz-"):
            continue
        if name in REFUSED:
            raise NotImplementedYet(name)
        if name in GRANTS:
            raise _no_acls()
        if name in _OWNERS and value != account:
            raise AccessDenied
        check = _CHECKS.get(name)
        if check is not None:
            check(value)
        elif (name.startswith(COPY_SOURCE_FIELD) and not operation.is_copy) or (
            operation.name != _ONLY_WITH.get(name, operation.name)
        ):
            raise InvalidRequest(f"{name} is not supported for {operation.name}.")


def _acl(value: str) -> None:
    if value in _OWNER_ACLS:
        return
    if value in _OTHER_ACLS:
        raise _no_acls()
    raise InvalidArgument("Not a canned ACL", name="x-amz-acl", value=value)


def _no_acls() -> AccessControlListNotSupported:
    return AccessControlListNotSupported("The bucket does not allow ACLs")


def _encryption(value: str) -> None:
    if value not in _SSE_ALGORITHMS:
        raise InvalidEncryptionAlgorithm(
            "The Encryption request you specified is not valid.",
            ArgumentName="x-amz-server-side-encryption",
            ArgumentValue=value[:256],
        )
    raise NotImplementedYet(f"x-amz-server-side-encryption: {value}")


def _object_lock(value: str) -> None:
    if value.lower() != "false":
        raise NotImplementedYet(f"x-amz-bucket-object-lock-enabled: {value[:32]}")


def _ownership(value: str) -> None:
    if value != "BucketOwnerEnforced":
        raise NotImplementedYet(f"x-amz-object-ownership: {value[:64]}")


_CHECKS = {
    "x-amz-acl": _acl,
    "x-amz-bucket-object-lock-enabled": _object_lock,
    "x-amz-object-ownership": _ownership,
    "x-amz-server-side-encryption": _encryption,
}
_UNASKED = frozenset({"x-amz-content-sha256", "x-amz-date"})
"""What nearly every request has, and any operation may have."""
