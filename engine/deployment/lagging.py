"""Which backends every process can read: a new one is written to once no process would not know it."""

import json
from collections.abc import Collection

from engine.metadata import generations, processes
from engine.metadata.store import Tx


def shared_backends(tx: Tx, generation: int) -> Collection[str] | None:
    """Names of the backends that the furthest behind of all live data-plane processes has; null: none is behind.

    What is written to another one, that process cannot read.
    """
    oldest = processes.oldest_generation(tx)
    if oldest is None or oldest >= generation:
        return None
    behind = generations.find(tx, oldest)
    if behind is None:
        return None
    return frozenset(each["name"] for each in json.loads(behind.document)["backends"])
