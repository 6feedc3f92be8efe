"""The one route table: which operation a request is; what is not listed is refused, never taken for a plain one."""

from collections.abc import Mapping

from dataplane.wire.operations import AuthKind, Kind, Operation, PayloadKind
from dataplane.wire.refusals import (
    InvalidArgument,
    InvalidRequest,
    MethodNotAllowed,
    NotImplementedYet,
    WireError,
)
from dataplane.wire.refused_operations import REFUSED
from dataplane.wire.served_operations import SERVED
from dataplane.wire.target import Target

COPY_SOURCE_FIELD = "x-amz-copy-source"

_Table = Mapping[tuple[str, Kind, str, bool], Operation]


def _table(operations: tuple[Operation, ...]) -> _Table:
    table: dict[tuple[str, Kind, str, bool], Operation] = {}
    for each in operations:
        assert each.selector == "&".join(sorted(each.selector.split("&"))), (
            f"{each.name} would never be found"
        )
        place = (each.method, each.kind, each.selector, each.is_copy)
        assert place not in table, f"{each.name} and {table[place].name} look the same on the wire"
        table[place] = each
    return table


ROUTES = _table(SERVED + REFUSED)

# Parameters that only mean something beside the sub-resource they belong to.
_COMPANIONS = {"id", "annotationName", "select-type"}
_SELECTORS = {selector for _, _, selector, _ in ROUTES if selector}
SUB_RESOURCES = frozenset({name for selector in _SELECTORS for name in selector.split("&")} - _COMPANIONS)
"""Query parameters that choose an operation; every other unknown one is ignored, as S3 does (`x-id` and the like)."""

_METHODS = frozenset({method for method, _, _, _ in ROUTES})


def find_route(method: str, target: Target, headers: Mapping[str, str]) -> Operation:
    """The served operation a request asks for.

    Raises WireError: 501 NotImplemented under the operation's name for what S3 has and this endpoint has not,
    405 MethodNotAllowed for a combination that S3 has not either, 400 for several sub-resources at once.
    """
    kind = Kind.SERVICE if target.bucket is None else Kind.BUCKET if target.key is None else Kind.OBJECT
    selector = _selector(target) if target.query else ""
    is_copy = COPY_SOURCE_FIELD in headers
    operation = ROUTES.get((method, kind, selector, is_copy))
    if operation is None:
        raise _no_route(method, kind, selector, is_copy)
    if not operation.is_served:
        raise NotImplementedYet(operation.name)
    if selector == "list-type" and target.get("list-type") != "2":
        raise InvalidArgument(
            "Invalid List Type specified in request parameters",
            name="list-type",
            value=target.get("list-type") or "",
        )
    return operation


def require_signed_form(operation: Operation, auth_kind: AuthKind, payload_kind: PayloadKind) -> None:
    """Refuse a form of signature that the operation's row does not list."""
    if not operation.takes(auth_kind, payload_kind):
        raise InvalidRequest(
            f"{operation.name} takes no {payload_kind.value} payload with a {auth_kind.value} signature."
        )


def require_known_method(method: str) -> None:
    """Refuse what is no method of S3 before anything else looks at the request; raises WireError 405."""
    if method not in _METHODS:
        raise MethodNotAllowed(method, allowed=sorted(_METHODS))


def _selector(target: Target) -> str:
    found = [name for name, _ in target.query if name in SUB_RESOURCES]
    if not found:
        return ""
    names = found + [name for name, _ in target.query if name in _COMPANIONS]
    selector = "&".join(sorted(names))
    if selector in _SELECTORS:
        return selector
    # A companion beside a foreign sub-resource is one more parameter to ignore; two sub-resources are a riddle.
    selector = "&".join(sorted(found))
    if selector not in _SELECTORS and len(found) > 1:
        raise InvalidArgument("The request names several sub-resources.", name="ResourceType", value=selector)
    return selector


def _no_route(method: str, kind: Kind, selector: str, is_copy: bool) -> WireError:
    if is_copy and (method, kind, selector, False) in ROUTES:
        return InvalidRequest(f"{COPY_SOURCE_FIELD} is not supported for this operation.")
    allowed = sorted({m for m, k, s, _ in ROUTES if (k, s) == (kind, selector)})
    if not allowed and method in _METHODS:
        return NotImplementedYet(f"{method} of {selector} on a {kind.value}")
    return MethodNotAllowed(method, allowed=allowed or sorted(_METHODS))
