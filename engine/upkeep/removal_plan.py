"""What removing a backend would delete, and what would stay there because it is not ours. Reads only."""

import os
import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from engine.backends.registry import volume_in
from engine.backends.volume.identity import IDENTITY_NAME
from engine.errors import BackendError
from engine.metadata.backend_removal import Leftovers, find_leftovers
from engine.metadata.store import Store
from engine.records import BackendRow, BackendState
from engine.upkeep.moved_pieces import BackendRegistry

FOREIGN_COUNT_MAX = 20
"""Names of files that are not ours, of which more are only counted."""

_TEMPORARY = re.compile(r"\.(?:identity-[0-9a-f]{16}|[0-9a-f]{32})\.tmp")
_LASTING = re.compile(rf"[0-9a-f]{{32}}\.volume|{re.escape(IDENTITY_NAME)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalPlan:
    """What there is. `lacks` says why it cannot be removed now; `problem` why its files could not be looked at."""

    backend: BackendRow
    leftovers: Leftovers
    file_count: int = 0
    file_bytes: int = 0
    foreign_count: int = 0
    foreign_names: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    problem: str | None = None


def plan_removal(store: Store, backends: BackendRegistry, row: BackendRow) -> RemovalPlan:
    """Raises what a read raises."""
    leftovers = store.read(partial(find_leftovers, backend_id=row.backend_id))
    lacks = []
    if row.state is not BackendState.DRAINED:
        lacks.append(f"it is {row.state.value}: drain it first")
    elif leftovers.holds_pieces:
        lacks.append("pieces lie there: undrain it and drain it again")
    plan = RemovalPlan(backend=row, leftovers=leftovers, lacks=tuple(lacks))
    try:
        backend = backends.get(row.backend_id)
        backend.check_identity()
        volume = volume_in(backend)
        if volume is None:
            return plan
        files = volume.shelf.files()
    except BackendError as error:
        return replace(plan, problem=str(error))
    foreign = foreign_names(volume.path)
    return replace(
        plan,
        file_count=len(files),
        file_bytes=sum(file.size_bytes for file in files),
        foreign_count=len(foreign),
        foreign_names=tuple(foreign[:FOREIGN_COUNT_MAX]),
    )


def foreign_names(folder: Path) -> list[str]:
    """What lies in a volume's folder and has no name of ours; nothing where that cannot be read."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(
        name for name in names if not is_temporary_of_ours(name) and _LASTING.fullmatch(name) is None
    )


def is_temporary_of_ours(name: str) -> bool:
    """Whether a file under construction of ours would have that name."""
    return _TEMPORARY.fullmatch(name) is not None
