"""What a version carries beside its bytes: read from request headers, and made safe for response headers."""

from collections.abc import Collection, Mapping

from dataplane.wire.refusals import InvalidArgument, InvalidStorageClass, MetadataTooLarge
from dataplane.wire.tagging import TAGGING_FIELD, read_object_tags
from dataplane.wire.target import Target
from engine.records import ObjectHeaders

USER_METADATA_PREFIX = "x-amz-meta-"
USER_METADATA_BYTES_MAX = 2048
"""Names without their prefix and values together (S3 user guide, object metadata)."""
OVERRIDE_BYTES_MAX = 4096
"""One response-* parameter."""
DEFAULT_CONTENT_TYPE = "binary/octet-stream"

SYSTEM_FIELDS = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_OVERRIDES = {
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
    "response-content-language": "Content-Language",
    "response-content-type": "Content-Type",
    "response-expires": "Expires",
}
_UNSENDABLE = frozenset(map(chr, (*range(0x20), 0x7F))) - {"\t"}


def read_object_headers(
    headers: Mapping[str, str], *, storage_classes: Collection[str] = ("STANDARD",)
) -> ObjectHeaders:
    """System and user metadata, tags and the storage class of a version about to be written.

    Values are kept as ISO 8859-1 text, one character an octet, so that whatever a client sent comes back as it was.
    `aws-chunked` is a way of travelling and not of being stored: it is taken out of Content-Encoding.
    Raises WireError MetadataTooLarge, InvalidStorageClass, and what `read_tagging_header` raises.
    """
    storage_class = read_storage_class(headers, storage_classes)
    system = {name: headers[name] for name in SYSTEM_FIELDS if name in headers}
    if "content-encoding" in system:
        stored = _without_aws_chunked(system.pop("content-encoding"))
        if stored:
            system["content-encoding"] = stored
    return ObjectHeaders(
        content_type=headers.get("content-type") or None,
        system=system,
        user=read_user_metadata(headers),
        tags=read_object_tags(headers) if TAGGING_FIELD in headers else {},
        storage_class=storage_class,
    )


def read_storage_class(headers: Mapping[str, str], storage_classes: Collection[str] = ("STANDARD",)) -> str:
    """x-amz-storage-class, which a copy heeds whatever it keeps of its source; raises WireError InvalidStorageClass."""
    storage_class = headers.get("x-amz-storage-class", "STANDARD")
    if storage_class not in storage_classes:
        raise InvalidStorageClass(
            "The storage class you specified is not valid", StorageClassRequested=storage_class[:256]
        )
    return storage_class


def read_user_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """x-amz-meta-* by the rest of their names; raises WireError MetadataTooLarge past 2,048 bytes."""
    user = {
        name[len(USER_METADATA_PREFIX) :]: value
        for name, value in headers.items()
        if name.startswith(USER_METADATA_PREFIX)
    }
    if not user:
        return user
    if "" in user:
        raise InvalidArgument("A metadata header has no name.", name=USER_METADATA_PREFIX, value="")
    size_bytes = sum(len(name) + len(value) for name, value in user.items())
    if size_bytes > USER_METADATA_BYTES_MAX:
        raise MetadataTooLarge(
            "Your metadata headers exceed the maximum allowed metadata size",
            Size=str(size_bytes),
            MaxSizeAllowed=str(USER_METADATA_BYTES_MAX),
        )
    return user


def object_response_headers(
    headers: ObjectHeaders, overrides: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """Response headers of stored metadata, `overrides` taking the places of theirs.

    A value that no header can hold is left out rather than sent broken.
    """
    system = {"Content-Type": headers.content_type or DEFAULT_CONTENT_TYPE}
    if headers.system:
        system.update((name.title(), value) for name, value in headers.system.items())
    if overrides:
        system.update(overrides)
    pairs = list(system.items())
    if headers.user:
        pairs += [(USER_METADATA_PREFIX + name, value) for name, value in headers.user.items()]
    if headers.tags:
        pairs.append(("x-amz-tagging-count", str(len(headers.tags))))
    if headers.storage_class != "STANDARD":
        pairs.append(("x-amz-storage-class", headers.storage_class))
    return [(name, value) for name, value in pairs if is_sendable(value)]


def read_response_overrides(target: Target) -> dict[str, str]:
    """Headers that response-* parameters of a signed GetObject ask for instead of the stored ones.

    Raises WireError InvalidArgument for a value that no header can hold: line breaks, control characters, letters
    beyond ISO 8859-1, more than 4 KiB.
    """
    overrides: dict[str, str] = {}
    for name, value in target.query:
        header = _OVERRIDES.get(name)
        if header is not None:
            if len(value) > OVERRIDE_BYTES_MAX or not is_sendable(value):
                raise InvalidArgument(
                    "Header value cannot be represented using ISO-8859-1.", name=name, value=value
                )
            overrides[header] = value
    return overrides


def is_sendable(value: str) -> bool:
    """Whether a value may stand in a header: ISO 8859-1 without control characters but the tab."""
    if value.isascii() and value.isprintable():
        return True
    return _UNSENDABLE.isdisjoint(value) and all(character <= "\xff" for character in value)


def quoted(etag: str) -> str:
    """An ETag as headers and documents show it."""
    return f'"{etag}"'


def _without_aws_chunked(value: str) -> str:
    codings = [coding.strip(" \t") for coding in value.split(",")]
    return ", ".join(coding for coding in codings if coding.lower() != "aws-chunked") if codings else ""
