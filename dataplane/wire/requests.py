"""Request documents by their schema: CreateBucket, versioning, DeleteObjects, CompleteMultipartUpload.

An element that a schema does not name, one that comes twice, or another letter case is MalformedXML: nothing that a
client wrote is passed over. Elements may come in any order. What S3 knows and is not built here is refused by name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dataplane.wire.checksums import read_checksum_value
from dataplane.wire.conditions import read_condition_size, read_condition_time
from dataplane.wire.parameters import read_version_id
from dataplane.wire.refusals import (
    IllegalLocationConstraint,
    IllegalVersioningConfiguration,
    InvalidArgument,
    InvalidLocationConstraint,
    MalformedXml,
    NotImplementedYet,
)
from dataplane.wire.xml_in import Element, parse_document
from engine.names import ObjectKey, object_key
from engine.records import ListedPart, RemoveConditions, Versioning
from engine.streams import ChecksumAlgorithm
from engine.units import MIB, PART_NUMBER_MAX

COMPLETE_BYTES_MAX = 2 * MIB
DELETE_COUNT_MAX = 1000

_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+)+-[0-9]{1,2}|EU")
_VERSIONING = {"Enabled": Versioning.ENABLED, "Suspended": Versioning.SUSPENDED}
_CHECKSUMS = {f"Checksum{algorithm.value}": algorithm for algorithm in ChecksumAlgorithm}
_UNBUILT_CHECKSUMS = (
    "ChecksumMD5",
    "ChecksumSHA512",
    "ChecksumXXHASH3",
    "ChecksumXXHASH64",
    "ChecksumXXHASH128",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedDelete:
    """One entry of DeleteObjects; `version_id` None means what is current. `conditions` are asked of what would go."""

    key: ObjectKey
    version_id: str | None
    conditions: RemoveConditions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """A DeleteObjects document. `is_quiet` asks for errors only."""

    entries: tuple[ListedDelete, ...]
    is_quiet: bool


def read_location(raw: bytes, *, region: str) -> None:
    """CreateBucketConfiguration: an empty body or the endpoint's own region is fine.

    Raises IllegalLocationConstraint for another region, InvalidLocationConstraint for what is none.
    """
    if not raw.strip():
        return
    root = parse_document(raw, "CreateBucketConfiguration")
    for child in root.children:
        if child.name in {"Location", "Bucket", "Tags"}:
            raise NotImplementedYet(f"CreateBucketConfiguration with {child.name}")
    location = root.leaves("LocationConstraint").get("LocationConstraint", "").strip()
    if location in {"", region}:
        return
    if _REGION.fullmatch(location):
        raise IllegalLocationConstraint(
            f"The {location} location constraint is incompatible for the region specific endpoint this request "
            "was sent to."
        )
    raise InvalidLocationConstraint(
        "The specified location-constraint is not valid", LocationConstraint=location[:256]
    )


def read_versioning(raw: bytes) -> Versioning:
    """VersioningConfiguration: Enabled or Suspended.

    Raises IllegalVersioningConfiguration for a document without a state, MalformedXml for another one, and
    NotImplementedYet for MFA delete.
    """
    found = parse_document(raw, "VersioningConfiguration").leaves("Status", "MfaDelete")
    if found.get("MfaDelete", "Disabled") != "Disabled":
        if found["MfaDelete"] == "Enabled":
            raise NotImplementedYet("MFA delete")
        raise MalformedXml
    status = found.get("Status")
    if status is None:
        raise IllegalVersioningConfiguration(
            "The Versioning element must be specified with a status of Enabled or Suspended."
        )
    if status not in _VERSIONING:
        raise MalformedXml
    return _VERSIONING[status]


def read_delete(raw: bytes) -> DeleteRequest:
    """DeleteObjects: 1 to 1,000 entries; raises MalformedXml, and InvalidKey or KeyTooLong of a key."""
    root = parse_document(raw, "Delete")
    objects = [child for child in root.children if child.name == "Object"]
    rest = Element(root.name, children=[child for child in root.children if child.name != "Object"])
    quiet = rest.leaves("Quiet").get("Quiet", "false").strip()
    if quiet not in {"true", "false"} or not 1 <= len(objects) <= DELETE_COUNT_MAX:
        raise MalformedXml
    return DeleteRequest(entries=tuple(map(_listed_delete, objects)), is_quiet=quiet == "true")


def read_complete(raw: bytes) -> tuple[ListedPart, ...]:
    """CompleteMultipartUpload: the client's parts in the client's order; whether that ascends is for the engine to see.

    Raises MalformedXml for 0 or more than 10,000 parts, InvalidArgument for a number that no part can have.
    """
    root = parse_document(raw, "CompleteMultipartUpload", max_bytes=COMPLETE_BYTES_MAX)
    if not 1 <= len(root.children) <= PART_NUMBER_MAX:
        raise MalformedXml
    return tuple(map(_listed_part, root.children))


def _listed_delete(element: Element) -> ListedDelete:
    found = element.leaves("Key", "VersionId", "ETag", "LastModifiedTime", "Size")
    if not found.get("Key"):
        raise MalformedXml
    return ListedDelete(
        key=object_key(found["Key"].encode()),
        version_id=read_version_id(found.get("VersionId") or None),
        conditions=_listed_conditions(found),
    )


def _listed_conditions(found: Mapping[str, str]) -> RemoveConditions | None:
    """An element that is there and says nothing is no condition that could hold: MalformedXML."""
    etag, modified, size = (
        None if name not in found else found[name].strip() for name in ("ETag", "LastModifiedTime", "Size")
    )
    if etag is None and modified is None and size is None:
        return None
    if "" in (etag, modified, size):
        raise MalformedXml
    return RemoveConditions(
        etag=None if etag is None else etag.removeprefix('"').removesuffix('"'),
        modified_at_ms=None if modified is None else read_condition_time(modified, name="LastModifiedTime"),
        size_bytes=None if size is None else read_condition_size(size, name="Size"),
    )


def _listed_part(element: Element) -> ListedPart:
    if element.name != "Part":
        raise MalformedXml
    found = element.leaves("PartNumber", "ETag", *_CHECKSUMS, *_UNBUILT_CHECKSUMS)
    number, etag = found.get("PartNumber", "").strip(), found.get("ETag", "").strip()
    if not etag or not number.isascii() or not number.isdigit():
        raise MalformedXml
    if len(number) > 6 or not 1 <= int(number) <= PART_NUMBER_MAX:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {PART_NUMBER_MAX}, inclusive",
            name="PartNumber",
            value=number,
        )
    given = [name for name in found if name.startswith("Checksum")]
    if len(given) > 1:
        raise MalformedXml
    if given and given[0] in _UNBUILT_CHECKSUMS:
        raise NotImplementedYet(f"CompleteMultipartUpload with {given[0]}")
    checksum = None
    if given:
        name = given[0]
        checksum = read_checksum_value(_CHECKSUMS[name], found[name].strip(), what=name)
    return ListedPart(
        part_number=int(number), etag=etag.removeprefix('"').removesuffix('"'), checksum=checksum
    )
