"""XML bodies: capped before they are parsed, without DTDs, shallow, and strict about what they may hold."""

from dataclasses import dataclass

from lxml import etree

from dataplane.s3.faults import (
    IllegalLocationConstraint,
    InvalidLocationConstraint,
    MalformedXml,
    MaxMessageLengthExceeded,
    MissingRequestBody,
)
from dataplane.s3.headers import checksum_from
from engine.errors import EngineError
from engine.names import ObjectKey, object_key
from engine.records import ListedPart
from engine.units import MIB, PART_NUMBER_MAX

BODY_BYTES_MAX = MIB
COMPLETE_BYTES_MAX = 2 * MIB
DEPTH_MAX = 16
DELETE_COUNT_MAX = 1000
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDelete:
    """One entry of DeleteObjects. A key that cannot be one carries its error instead."""

    key: bytes
    checked: ObjectKey | None
    error: EngineError | None
    version_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """A DeleteObjects document. `is_quiet` asks for errors only."""

    entries: tuple[ListedDelete, ...]
    is_quiet: bool


def check_size(size_bytes: int | None, bytes_max: int = BODY_BYTES_MAX) -> None:
    """Before a byte is read."""
    if size_bytes is not None and size_bytes > bytes_max:
        raise MaxMessageLengthExceeded("Your request was too large.", MaxMessageLengthBytes=str(bytes_max))


def read_location(raw: bytes, region: str) -> None:
    """CreateBucketConfiguration: an empty body, or our own region, is fine."""
    if not raw:
        return
    root = _parse(raw, "CreateBucketConfiguration")
    for child in root:
        name = _name(child)
        if name != "LocationConstraint":
            if name in ("Location", "Bucket", "Tags"):
                raise MalformedXml(f"{name} is not implemented")
            raise MalformedXml(f"{name} is not known here")
        location = (child.text or "").strip()
        if location in ("", region):
            continue
        if not location.replace("-", "").isalnum() or not location.isascii():
            raise InvalidLocationConstraint("The specified location constraint is not valid")
        raise IllegalLocationConstraint(
            f"The {location} location constraint is incompatible for the region of this endpoint."
        )


def read_delete(raw: bytes) -> DeleteRequest:
    """DeleteObjects: 1 to 1,000 entries."""
    root = _parse(raw, "Delete")
    entries: list[ListedDelete] = []
    is_quiet = False
    for child in root:
        name = _name(child)
        if name == "Quiet":
            is_quiet = (child.text or "").strip().lower() == "true"
        elif name == "Object":
            entries.append(_read_entry(child))
        else:
            raise MalformedXml(f"{name} is not known here")
    if not 1 <= len(entries) <= DELETE_COUNT_MAX:
        raise MalformedXml(f"a request deletes 1 to {DELETE_COUNT_MAX} objects")
    return DeleteRequest(entries=tuple(entries), is_quiet=is_quiet)


def read_complete(raw: bytes) -> list[ListedPart]:
    """CompleteMultipartUpload: the client's list, in its order."""
    root = _parse(raw, "CompleteMultipartUpload")
    parts = []
    for child in root:
        if _name(child) != "Part":
            raise MalformedXml(f"{_name(child)} is not known here")
        parts.append(_read_part(child))
    if not 1 <= len(parts) <= PART_NUMBER_MAX:
        raise MalformedXml(f"an upload is completed with 1 to {PART_NUMBER_MAX} parts")
    return parts


def _read_entry(element: etree._Element) -> ListedDelete:
    fields = _fields(element, {"Key", "VersionId", "ETag", "LastModifiedTime", "Size"})
    if "Key" not in fields:
        raise MalformedXml("an Object has no Key")
    key = fields["Key"].encode("utf-8")
    try:
        return ListedDelete(key=key, checked=object_key(key), error=None, version_id=fields.get("VersionId"))
    except EngineError as error:
        return ListedDelete(key=key, checked=None, error=error, version_id=fields.get("VersionId"))


def _read_part(element: etree._Element) -> ListedPart:
    checksums = {"ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256"}
    fields = _fields(element, {"PartNumber", "ETag"} | checksums)
    number, etag = fields.get("PartNumber", "").strip(), fields.get("ETag", "").strip()
    if not etag or not number.isascii() or not number.isdigit() or len(number) > 5:
        raise MalformedXml("a Part has no ETag or no PartNumber")
    given = [name for name in fields if name in checksums]
    checksum = None
    if given:
        header = "x-amz-checksum-" + given[0].removeprefix("Checksum").lower()
        checksum = checksum_from(header, fields[given[0]])
    return ListedPart(part_number=int(number), etag=etag.strip('"'), checksum=checksum)


def _fields(element: etree._Element, known: set[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for child in element:
        name = _name(child)
        if name not in known:
            raise MalformedXml(f"{name} is not known here")
        if name in fields:
            raise MalformedXml(f"{name} is repeated")
        if len(child):
            raise MalformedXml(f"{name} holds elements")
        fields[name] = child.text or ""
    return fields


def _parse(raw: bytes, root_name: str) -> etree._Element:
    if not raw.strip():
        raise MissingRequestBody("Request Body is empty")
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise MalformedXml("a document type is not allowed")
    # UTF-16 hides the words looked for above from a search of bytes.
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in raw[:64]:
        raise MalformedXml("the document is not UTF-8")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXml(
            "The XML you provided was not well-formed or did not validate against our published schema"
        ) from error
    if _name(root) != root_name:
        raise MalformedXml(f"the document is {_name(root)[:80]}, expected {root_name}")
    _check_depth(root)
    return root


def _check_depth(root: etree._Element) -> None:
    level = [root]
    for _ in range(DEPTH_MAX):
        level = [child for element in level for child in element]
        if not level:
            return
    raise MalformedXml("the document is too deep")


def _name(element: etree._Element) -> str:
    """Local name; S3's namespace and none are one, any other is refused."""
    tag = element.tag
    if not isinstance(tag, str):
        raise MalformedXml("the document holds something other than elements")
    if not tag.startswith("{"):
        return tag
    namespace, _, name = tag[1:].partition("}")
    if namespace != NAMESPACE:
        raise MalformedXml("the document is of another namespace")
    return name
