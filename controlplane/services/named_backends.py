"""Backends by their resource names."""

from collections.abc import Mapping

from engine.errors import NoSuchResource
from engine.metadata.backends import list_backends
from engine.metadata.store import Tx
from engine.records import BackendState


def find_backend(tx: Tx, name: str) -> int:
    """Raises NoSuchResource."""
    for row in list_backends(tx):
        if row.name == name and row.state is not BackendState.REMOVED:
            return row.backend_id
    raise NoSuchResource(name=f"backends/{name}")


def backend_names(tx: Tx) -> Mapping[int, str]:
    return {row.backend_id: f"backends/{row.name}" for row in list_backends(tx)}
