"""What a start without database needs: the last generation, the ring, backends and access keys, in the state folder.

Secrets stand there as they stand in the database: sealed by the ring, the ring wrapped by the provider. The file is
renamed into place whole, so readers see one state of it or another.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import StartRefused
from engine.metadata import backends, deployments, generations, identities, keys
from engine.metadata.buckets import is_any_sealed
from engine.metadata.identities import AccessKeyRow
from engine.metadata.keys import KeyRow
from engine.metadata.store import Store, Tx
from engine.names import BackendName
from engine.records import BackendRow, BackendState, BackendTerms

LAYOUT = 2
ACCESS_KEY_COUNT_MAX = 10_000
_PAGE_COUNT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LastKnown:
    """A deployment as it was when its database was last reached. `seals_cards`: something of it is sealed."""

    deployment_id: bytes
    generation: int
    document: str
    keys: tuple[KeyRow, ...]
    backends: tuple[BackendRow, ...]
    access_keys: tuple[AccessKeyRow, ...]
    seals_cards: bool

    def access_key(self, access_key_id: str) -> AccessKeyRow | None:
        return next((each for each in self.access_keys if each.access_key_id == access_key_id), None)


class LastKnownFile:
    """The file in a state folder; written by any process of the instance, the last one wins."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "last-known.json"
        self._written: bytes | None = None

    def read(self) -> LastKnown | None:
        """Null when there is none. Raises StartRefused for one that cannot be understood."""
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return _decoded(json.loads(raw))
        except (ValueError, KeyError, TypeError) as error:
            raise StartRefused(
                f"{self._path} is damaged ({error}): remove it, and start with the database"
            ) from error

    def write(self, known: LastKnown) -> None:
        """Put it in the place of the one before, if it says something else. Raises OSError."""
        raw = json.dumps(_encoded(known), separators=(",", ":")).encode()
        if raw == self._written:
            return
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)
        self._written = raw


def look(store: Store, generation: int) -> LastKnown | None:
    """What is to be kept, as one snapshot shows it; null when the generation is another one by now."""
    return store.read(lambda tx: _look(tx, generation))


def _look(tx: Tx, generation: int) -> LastKnown | None:
    deployment, newest = deployments.read_deployment(tx), generations.current(tx)
    if deployment is None or newest is None or newest.generation != generation:
        return None
    found: list[AccessKeyRow] = []
    while len(found) < ACCESS_KEY_COUNT_MAX:
        after = found[-1].access_key_id if found else ""
        page = identities.list_access_keys(tx, after=after, count_max=_PAGE_COUNT)
        found += page
        if len(page) < _PAGE_COUNT:
            break
    return LastKnown(
        deployment_id=deployment.deployment_id,
        generation=generation,
        document=newest.document,
        keys=tuple(keys.list_keys(tx)),
        backends=tuple(backends.list_backends(tx)),
        access_keys=tuple(found),
        seals_cards=is_any_sealed(tx),
    )


def _encoded(known: LastKnown) -> dict[str, Any]:
    return {"layout": LAYOUT, **{name: _plain(value) for name, value in asdict(known).items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, BackendState) else value


def _decoded(value: Mapping[str, Any]) -> LastKnown:
    if value["layout"] != LAYOUT:
        raise ValueError(f"layout {value['layout']} is not known")
    return LastKnown(
        deployment_id=_bytes(value["deployment_id"]),
        generation=int(value["generation"]),
        document=str(value["document"]),
        keys=tuple(KeyRow(**_with_bytes(each)) for each in value["keys"]),
        backends=tuple(
            BackendRow(
                **{
                    **_with_bytes({name: field for name, field in each.items() if name != "terms"}),
                    "terms": BackendTerms(**each["terms"]),
                    "name": BackendName(each["name"]),
                    "state": BackendState(each["state"]),
                }
            )
            for each in value["backends"]
        ),
        access_keys=tuple(
            AccessKeyRow(**{**_with_bytes(each), "buckets": _names(each["buckets"])})
            for each in value["access_keys"]
        ),
        seals_cards=bool(value["seals_cards"]),
    )


def _with_bytes(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _bytes(each) if isinstance(each, dict) else each for name, each in fields.items()}


def _bytes(value: Mapping[str, str]) -> bytes:
    return bytes.fromhex(value["hex"])


def _names(value: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)
