"""Where things lie on this machine: the folders of a start, and those of new volumes, which must be empty."""

import os
import stat
from collections.abc import Callable, Collection, Iterable

from engine.backends.s3.identity import check_vacant as check_vacant_prefix
from engine.backends.s3.place import S3Place
from engine.backends.s3.presets import PRESETS
from engine.backends.volume.identity import check_vacant
from engine.clock import SystemClock
from engine.errors import BackendError, BackendUnavailable, ForeignBackend, StartRefused
from engine.names import BackendName
from engine.settings import NodeSettings
from engine.settings.database import SqliteSettings
from engine.settings.storage import BackendSettings

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
    fresh: Iterable[BackendSettings], names_now: Callable[[], Collection[BackendName]]
) -> None:
    """Raise StartRefused for a new backend whose folder or prefix is no empty one, unless its row is there by now.

    Another process may have registered it after the caller looked: it commits the row before it writes a file. A store
    that is out of reach is looked at when it is registered.
    """
    occupied: dict[BackendName, BackendError] = {}
    for each in fresh:
        try:
            if each.kind == "volume":
                check_vacant(each.folder, each.name)
            elif each.kind == "s3":
                check_vacant_prefix(s3_place(each), each.name, SystemClock())
        except ForeignBackend as error:
            occupied[each.name] = error
        except BackendUnavailable as error:
            if each.kind == "volume":
                occupied[each.name] = error
    if not occupied:
        return
    left = occupied.keys() - set(names_now())
    for name in sorted(left):
        raise StartRefused(occupied_message(name, occupied[name]))


def occupied_message(name: BackendName, problem: BackendError) -> str:
    """Why a backend cannot be registered, and what to do about it."""
    message = f"backend {name!r} cannot be registered: {problem}"
    if isinstance(problem, ForeignBackend) and problem.is_occupied:
        message += (
            ". A new backend needs an empty folder or prefix: name another one. "
            "If its deployment's metadata database was lost, put that back; nothing here was touched"
        )
    return message


def s3_place(settings: BackendSettings) -> S3Place:
    """Where the settings of an S3 backend say that it lies, defaults filled in."""
    assert settings.bucket is not None
    region = settings.region or "us-east-1"
    preset = settings.preset or "generic"
    is_virtual_hosted = PRESETS[preset].is_virtual_hosted
    if settings.addressing is not None:
        is_virtual_hosted = settings.addressing == "virtual"
    secret = settings.secret_access_key
    return S3Place(
        endpoint=settings.endpoint or f"https://s3.{region}.amazonaws.com",
        region=region,
        bucket=settings.bucket,
        prefix=settings.prefix or "",
        preset=preset,
        is_virtual_hosted=is_virtual_hosted,
        unsigned_payload=settings.unsigned_payload,
        ca=settings.ca,
        profile=settings.profile,
        access_key_id=settings.access_key_id,
        secret_access_key=None if secret is None else secret.reveal(),
    )
