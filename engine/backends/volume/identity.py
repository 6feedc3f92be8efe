"""The identity object of a volume backend: written once into an empty directory, compared ever after."""

import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from engine.backends.volume.disk import Disk, LinuxDisk
from engine.backends.volume.files import TEMPORARY_SUFFIX
from engine.errors import BackendUnavailable, ForeignBackend
from engine.names import BackendName

IDENTITY_NAME = "penstock-backend.json"
_FORMAT = 1
_Named: TypeAlias = tuple[object, object, object, object]
"""What an identity says: format, deployment, backend, node."""

_SIZE_MAX_BYTES = 4096

# What a fresh file system or a mount point holds before anybody wrote to it.
NOBODYS = frozenset({"lost+found"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose directory it is. `node` is the machine a volume belongs to."""

    backend: BackendName
    deployment_id: bytes
    identity_id: bytes
    node: str | None


def init_identity(
    directory: Path, identity: Identity, *, created_at_us: int, disk: Disk | None = None
) -> None:
    """Write the identity into an empty directory, made if it is not there; one that is ours already is left as it is.

    Only for a backend that is being registered. Raises ForeignBackend when somebody's files are there,
    BackendUnavailable when the directory cannot be read or written. Repeating it is safe.
    """
    disk = disk or LinuxDisk()
    try:
        _make_directory(disk, directory)
        # In this order: whatever a process that registers at the same time had written by the first look, its
        # identity came before.
        found = _first_of_somebody(directory)
        if not (directory / IDENTITY_NAME).exists():
            if found is not None:
                raise _occupied(directory, identity.backend, found)
            _create(disk, directory, identity, created_at_us)
    except OSError as error:
        raise BackendUnavailable(f"{directory}: {error.strerror}", backend=identity.backend) from error
    check_identity(directory, identity)


def check_vacant(directory: Path, backend: BackendName) -> None:
    """Look whether a new backend could be registered there; raises ForeignBackend, BackendUnavailable."""
    try:
        found = _first_of_somebody(directory) if directory.exists() else None
    except OSError as error:
        raise BackendUnavailable(f"{directory}: {error.strerror}", backend=backend) from error
    if found is not None:
        raise _occupied(directory, backend, found)


def check_identity(directory: Path, identity: Identity) -> None:
    """Compare what stands in the directory; raises ForeignBackend, BackendUnavailable."""
    path = directory / IDENTITY_NAME
    try:
        with open(path, "rb") as file:
            raw = file.read(_SIZE_MAX_BYTES + 1)
    except FileNotFoundError:
        raise ForeignBackend(
            f"{path} is missing: is the disk mounted? Mount it, and it serves again", backend=identity.backend
        ) from None
    except OSError as error:
        raise BackendUnavailable(f"{path}: {error.strerror}", backend=identity.backend) from error
    expected = (_FORMAT, identity.deployment_id.hex(), identity.identity_id.hex(), identity.node)
    found = _read(raw)
    if found != expected:
        raise ForeignBackend(
            f"{path} names another deployment, backend or node: {_difference(found, expected)}",
            backend=identity.backend,
        )


def remove_identity(disk: Disk, directory: Path, identity: Identity) -> None:
    """The directory is nobody's any more, durably; what else lies in it stays. Repeating it is harmless.

    Raises ForeignBackend when the object there is another's, BackendUnavailable.
    """
    path = directory / IDENTITY_NAME
    try:
        if not path.exists() and directory.exists():
            return
        check_identity(directory, identity)
        path.unlink(missing_ok=True)
        disk.sync_directory(directory)
    except OSError as error:
        raise BackendUnavailable(f"{path}: {error.strerror}", backend=identity.backend) from error


def _read(raw: bytes) -> _Named | None:
    try:
        stored = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(stored, dict):
        return None
    return stored.get("format"), stored.get("deployment_id"), stored.get("backend_id"), stored.get("node")


def _difference(found: _Named | None, expected: _Named) -> str:
    if found is None or found[0] != expected[0]:
        return "it cannot be read"
    if found[1] != expected[1]:
        return "it is another deployment's; is this the right disk, and the right metadata database?"
    if found[2] != expected[2]:
        return "it is another backend's of this deployment; are two disks in each other's place?"
    return f"it belongs to node {found[3]!r}"


def _make_directory(disk: Disk, directory: Path) -> None:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        disk.sync_directory(path.parent)


def _first_of_somebody(directory: Path) -> str | None:
    names = (
        name for name in os.listdir(directory) if name not in NOBODYS and not name.endswith(TEMPORARY_SUFFIX)
    )
    return next(names, None)


def _occupied(directory: Path, backend: BackendName, found: str) -> ForeignBackend:
    return ForeignBackend(f"{directory} is not empty: it holds {found!r}", backend=backend, is_occupied=True)


def _create(disk: Disk, directory: Path, identity: Identity, created_at_us: int) -> None:
    document = {
        "format": _FORMAT,
        "deployment_id": identity.deployment_id.hex(),
        "backend_id": identity.identity_id.hex(),
        "node": identity.node,
        "created": datetime.fromtimestamp(created_at_us / 1_000_000, tz=UTC).isoformat(),
    }
    temporary = directory / f".identity-{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "wb") as file:
            file.write(json.dumps(document, indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces: of two that register at once one finds the other's and compares.
        try:
            os.link(temporary, directory / IDENTITY_NAME)
        except FileExistsError:
            pass
    finally:
        os.unlink(temporary)
    disk.sync_directory(directory)
