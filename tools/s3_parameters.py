"""Every parameter of every served operation, out of botocore's model of S3, and what becomes of it here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import botocore.session

from dataplane.wire.amz_headers import GRANTS, HARMLESS, READ, REFUSED
from dataplane.wire.operations import Operation
from dataplane.wire.routes import SUB_RESOURCES
from dataplane.wire.served_operations import SERVED


class Fate(Enum):
    """What becomes of a parameter; the value is what the page says."""

    READ = "read"
    ONLY_DEFAULT = "read; anything but what holds anyway is refused"
    HARMLESS = "accepted, without meaning here"
    NO_ACL = "400 `AccessControlListNotSupported`"
    REFUSED = "501 `NotImplemented`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One member of an operation's input: its name in SDKs, and where it stands on the wire under which name."""

    operation: Operation
    member: str
    place: str
    wire_name: str
    fate: Fate


PLAIN_HEADERS: Mapping[str, Fate] = {
    "cache-control": Fate.READ,
    "content-disposition": Fate.READ,
    "content-encoding": Fate.READ,
    "content-language": Fate.READ,
    "content-length": Fate.READ,
    "content-md5": Fate.READ,
    "content-type": Fate.READ,
    "expires": Fate.READ,
    "if-match": Fate.READ,
    "if-modified-since": Fate.READ,
    "if-none-match": Fate.READ,
    "if-unmodified-since": Fate.READ,
    "range": Fate.READ,
}
"""Headers of HTTP itself that operations of S3 take."""

ONLY_DEFAULTS = frozenset(
    {
        "x-amz-acl",
        "x-amz-bucket-object-lock-enabled",
        "x-amz-object-ownership",
        "x-amz-server-side-encryption",
        "x-amz-storage-class",
    }
)
"""Headers read only to see that they ask for what holds anyway."""


def parameters() -> Iterator[Parameter]:
    """In the order of the route table and of the model. Raises KeyError for a parameter that nobody decided about."""
    model = botocore.session.get_session().get_service_model("s3")
    known = set(model.operation_names)
    for operation in SERVED:
        shape = model.operation_model(operation.name).input_shape if operation.name in known else None
        for member, of_member in (shape.members if shape else {}).items():
            place = of_member.serialization.get("location", "body")
            wire_name = of_member.serialization.get("name", member)
            yield Parameter(
                operation=operation,
                member=member,
                place=_PLACES[place],
                wire_name=wire_name,
                fate=_fate(operation, place, wire_name),
            )


_PLACES = {"uri": "path", "querystring": "query", "header": "header", "headers": "headers", "body": "body"}


def _fate(operation: Operation, place: str, name: str) -> Fate:
    if place == "querystring":
        if name not in operation.parameters | SUB_RESOURCES:
            raise KeyError(f"{operation.name} does not read {name}")
        return Fate.READ
    if place != "header":
        return Fate.READ
    name = name.lower()
    if not name.startswith("x-amz-"):
        return PLAIN_HEADERS[name]
    if name in ONLY_DEFAULTS:
        return Fate.ONLY_DEFAULT
    groups = ((READ, Fate.READ), (HARMLESS, Fate.HARMLESS), (GRANTS, Fate.NO_ACL), (REFUSED, Fate.REFUSED))
    for names, fate in groups:
        if name in names:
            return fate
    raise KeyError(f"nobody decided about {name} of {operation.name}")
