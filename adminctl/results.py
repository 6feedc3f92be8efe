"""What long work answered in the end, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adminctl.output import print_fields, size

if TYPE_CHECKING:
    from penstock.admin.v1 import operation_pb2

    from adminctl.client import Connection


def show_counts(connection: Connection, operation: operation_pb2.Operation) -> None:
    """The counts and sizes of an operation's result, a line each; nothing before it has ended, or for programs."""
    if not connection.format.is_for_people or not operation.done:
        return
    print_fields([(_name(name), _figure(name, value)) for name, value in sorted(operation.result.items())])


def _name(name: str) -> str:
    return name.removesuffix("_count").removesuffix("_bytes").replace("_", " ")


def _figure(name: str, value: object) -> str:
    if isinstance(value, float):
        return size(int(value)) if name.endswith("_bytes") else str(int(value))
    return str(value)
