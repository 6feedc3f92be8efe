"""As what requests for buckets are counted: by the kinds that monthly limits of backends know."""

from collections.abc import Mapping

from dataplane.wire.operations import Body, Kind, Operation
from dataplane.wire.served_operations import SERVED
from engine.records import UsageKind


def _kind_of(operation: Operation) -> UsageKind:
    if operation.method == "DELETE" or operation.name == "DeleteObjects":
        return UsageKind.DELETE_REQUESTS
    if operation.name.startswith("List") or operation.method in ("PUT", "POST"):
        return UsageKind.WRITE_REQUESTS
    return UsageKind.READ_REQUESTS


USAGE_KINDS: Mapping[str, UsageKind] = {
    operation.name: _kind_of(operation) for operation in SERVED if operation.kind is not Kind.SERVICE
}
"""By the name of an operation; none for those that are of no bucket."""

CONTENT_OPERATIONS = frozenset(operation.name for operation in SERVED if operation.body is Body.OBJECT)
"""Those that bring the content of an object or a part."""
