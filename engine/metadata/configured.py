"""What the newest generation of the configuration names: rows of it are changed there, and nowhere else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import OwnedByConfig
from engine.metadata import generations
from engine.metadata.store import Tx
from engine.records import Bucket, Origin, Versioning

_REFERENCE = "${"
"""A name with this in it stands for something that only the node of its file knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """Entries of the running configuration by name.

    A name that is a reference may be any: then every row that a configuration made counts as named.
    """

    buckets: Mapping[str, Mapping[str, Any]]
    identities: frozenset[str]
    admin_tokens: frozenset[str]

    def names_bucket(self, bucket: Bucket) -> bool:
        return bucket.origin is Origin.CONFIG and _names(self.buckets.keys(), bucket.name)

    def sets_versioning(self, bucket: Bucket) -> bool:
        """Whether every generation sets the bucket's versioning again; `off` leaves it to others."""
        if not self.names_bucket(bucket):
            return False
        entry = self.buckets.get(bucket.name)
        return entry is None or entry.get("versioning", Versioning.OFF.value) != Versioning.OFF.value

    def names_identity(self, name: str, origin: Origin) -> bool:
        return origin is Origin.CONFIG and _names(self.identities, name)

    def names_admin_token(self, name: str, origin: Origin) -> bool:
        return origin is Origin.CONFIG and _names(self.admin_tokens, name)


def read_configured(tx: Tx) -> Configured:
    newest = generations.current(tx)
    document = {} if newest is None else json.loads(newest.document)
    return Configured(
        buckets={each["name"]: each for each in document.get("buckets", ())},
        identities=frozenset(each["name"] for each in document.get("identities", ())),
        admin_tokens=frozenset(each["name"] for each in document.get("admin_tokens", ())),
    )


def refuse_configured(is_configured: bool, *, name: str, what: str) -> None:
    """Raises OwnedByConfig. `name` is a resource name, `what` what was to be changed of it."""
    if is_configured:
        raise OwnedByConfig(name=name, what=what)


def _names(names: Any, name: str) -> bool:
    return name in names or any(_REFERENCE in each for each in names)
