"""Where things lie on this machine: the folders of a start, and those of new volumes, which must be empty."""

import os
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from engine.backends.volume.identity import check_vacant
from engine.errors import BackendError, BackendUnavailable, ForeignBackend, StartRefused
from engine.names import BackendName
from engine.settings import NodeSettings
from engine.settings.database import SqliteSettings

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make_folders(node: NodeSettings) -> None:
    """The state folder, and SQLite's with an empty file, all for their owner only. Raises StartRefused."""
    state_dir = node.node.state_dir
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if isinstance(node.database, SqliteSettings):
            database = node.database.path
            database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its other files the mode of this one, which the umask would leave open to others.
            os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        mode = stat.S_IMODE(state_dir.stat().st_mode)
    except OSError as error:
        raise StartRefused(f"{error.filename}: {error.strerror}") from error
    if mode & _OTHERS_WRITE:
        raise StartRefused(
            f"node.state_dir {state_dir} has mode {mode:04o}, others may write there: run `chmod 700 {state_dir}`"
        )


def refuse_occupied(
    folders: Mapping[BackendName, Path], names_now: Callable[[], Collection[BackendName]]
) -> None:
    """Raise StartRefused for a new volume whose folder is no empty one, unless its row is there by now.

    Another process may have registered it after the caller looked: it commits the row before it writes a file.
    """
    occupied: dict[BackendName, BackendError] = {}
    for name, folder in folders.items():
        try:
            check_vacant(folder, name)
        except (ForeignBackend, BackendUnavailable) as error:
            occupied[name] = error
    if not occupied:
        return
    left = occupied.keys() - set(names_now())
    for name in sorted(left):
        raise StartRefused(occupied_message(name, occupied[name]))


def occupied_message(name: BackendName, problem: BackendError) -> str:
    """Why a backend cannot be registered, and what to do about it."""
    return (
        f"backend {name!r} cannot be registered: {problem}. A new volume needs an empty folder: name another one. "
        "If its deployment's metadata database was lost, put that back; nothing here was touched"
    )
